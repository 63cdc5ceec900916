"""What a manager's sidecars are made of."""

import json
import re
from pathlib import Path
from typing import Any

from appliance.sidecars.manager_sidecars import manager_sidecars
from appliance.sidecars.sidecar import Sidecar


def sidecars(*, founds: bool = False, peers: dict[str, str] | None = None) -> dict[str, Sidecar]:
    made = manager_sidecars(
        number=3,
        node_id="n-1",
        address="10.0.0.5",
        token="c-1",
        data=Path("/data"),
        pki=Path("/pki"),
        files=Path("/files"),
        sockets=Path("/sockets"),
        founds=founds,
        peers=peers or {},
    )
    return {sidecar.name: sidecar for sidecar in made}


def test_etcd_comes_first_and_each_has_the_number_of_its_node() -> None:
    names = [sidecar.assignment.instance for sidecar in sidecars().values()]
    assert names == ["system/etcd-3", "system/registry-3", "system/nginx-3"]


def test_no_sidecar_sees_the_authorities_keys() -> None:
    sources = {mount.source for sidecar in sidecars().values() for mount in sidecar.assignment.containers[0].mounts}
    assert "/pki" not in sources
    assert {source for source in sources if source.startswith("/pki")} == {"/pki/etcd", "/pki/web"}


def etcd_settings(made: Sidecar) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.files["etcd.json"][0])
    return found


def test_etcd_demands_certificates_of_clients_and_peers() -> None:
    settings = etcd_settings(sidecars()["etcd"])
    assert settings["client-transport-security"]["client-cert-auth"]
    assert settings["peer-transport-security"]["client-cert-auth"]
    assert "http://" not in settings["listen-client-urls"] + settings["listen-peer-urls"]


def test_etcd_without_data_founds_or_joins_only_when_it_is_told_to() -> None:
    def first(made: dict[str, Sidecar]) -> tuple[str, str]:
        settings = etcd_settings(made["etcd"])
        return settings["initial-cluster-state"], settings["initial-cluster"]

    own = "n-1=https://10.0.0.5:2380"
    assert first(sidecars(founds=True)) == ("new", own)
    assert first(sidecars(peers={"n-2": "https://10.0.0.6:2380"})) == ("existing", f"{own},n-2=https://10.0.0.6:2380")
    assert first(sidecars()) == ("existing", own)


def test_how_etcd_first_starts_makes_no_other_container() -> None:
    assert sidecars(founds=True)["etcd"].assignment == sidecars()["etcd"].assignment


def test_nginx_passes_the_same_headers_everywhere() -> None:
    """nginx drops all headers of the level above as soon as a location sets one of its own."""
    config, _ = sidecars()["nginx"].files["nginx.conf"]
    locations = re.findall(r"location [^{]*\{([^}]*)\}", config)
    assert len(locations) == 2
    assert not [text for text in locations if "proxy_set_header" in text]
    assert "proxy_set_header Host $http_host;" in config


def test_another_image_is_another_container() -> None:
    registry = sidecars()["registry"]
    assert registry.with_image("sha256:1") != registry.with_image("sha256:2")
    assert registry.with_image("sha256:1").containers[0].image_id == "sha256:1"
