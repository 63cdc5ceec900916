"""The sidecars of a manager, in the order in which they are needed."""

from collections.abc import Mapping
from pathlib import Path

from appliance.sidecars.etcd import etcd
from appliance.sidecars.nginx import nginx
from appliance.sidecars.registry import registry
from appliance.sidecars.sidecar import Sidecar


def manager_sidecars(
    *,
    number: int,
    node_id: str,
    address: str,
    token: str,
    data: Path,
    pki: Path,
    files: Path,
    sockets: Path,
    founds: bool,
    peers: Mapping[str, str],
    quota: int = 0,
    alone: bool = False,
) -> tuple[Sidecar, ...]:
    """`data`, `pki` and `files` (configuration) hold a folder per sidecar; `sockets` is for nginx; `founds`, `peers`,
    `quota` and `alone` as etcd has them. Pure."""
    return (
        etcd(
            number=number,
            node_id=node_id,
            address=address,
            token=token,
            data=str(data / "etcd"),
            pki=str(pki / "etcd"),
            config=str(files / "etcd"),
            founds=founds,
            peers=peers,
            quota=quota,
            alone=alone,
        ),
        registry(number=number, data=str(data / "registry"), config=str(files / "registry")),
        nginx(number=number, address=address, sockets=str(sockets), config=str(files / "nginx"), pki=str(pki / "web")),
    )
