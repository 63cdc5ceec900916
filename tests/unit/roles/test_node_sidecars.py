"""Whom a node's clock follows."""

from pathlib import Path
from typing import Any

import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.delivery.package import Package
from appliance.host.layout import Layout
from appliance.link.messages import Peers
from appliance.model.identity import NodeIdentity
from appliance.model.node import Peer
from appliance.roles.node_sidecars import TimeServer, time_settings
from appliance.sidecars.ntp import following, serving
from tests.unit.delivery.synthetic import make_package

PEERS = Peers(
    peers=tuple(Peer(node=f"n{n}", number=n, address=f"10.0.0.{n}", vtep_mac="") for n in (1, 2, 3)),
    time_servers=("ntp.site",),
)


def identity(number: int, **fields: Any) -> NodeIdentity:
    return NodeIdentity(
        id=f"n{number}",
        name=f"n{number}",
        number=number,
        address=f"10.0.0.{number}",
        cluster_id="c",
        cluster_name="c",
        network="10.99.0.0/16",
        managers=("10.0.0.1:8444", "10.0.0.2:8444"),
        **({"roles": ("agent",)} | fields),
    )


def test_a_manager_follows_the_site_and_the_other_manager_and_serves_all_others() -> None:
    said = time_settings(identity(1, roles=("manager", "agent")), PEERS)
    assert said == serving(allowed=["10.0.0.2", "10.0.0.3"], site=["ntp.site"], managers=["10.0.0.2"])


@pytest.mark.parametrize(("dial", "asked"), [("agent", ["10.0.0.1", "10.0.0.2"]), ("manager", [])])
def test_an_agent_asks_the_managers_unless_they_alone_may_connect(dial: str, asked: list[str]) -> None:
    assert time_settings(identity(3, dial=dial), PEERS) == following(managers=asked)


def test_other_managers_are_asked_as_soon_as_there_are_some(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "host")
    own = identity(3, clock="ours")
    with Package.open(make_package(tmp_path, names=("ntp",))) as package:
        server = TimeServer(AssignmentBook(layout.assignments), layout, own, package)
    server.hear(PEERS)
    server.follow(("10.0.0.9:8444",))
    server.cycle()
    (config,) = (file.read_text() for file in (layout.sidecar_files / "ntp").iterdir())
    assert config == following(managers=["10.0.0.9"])
