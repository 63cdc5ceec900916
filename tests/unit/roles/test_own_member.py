"""What a manager keeps right of its own member of etcd."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.delivery import node_files
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity, OwnMember
from appliance.model.node import NodeSpec
from appliance.roles.own_member import OwnMemberCare
from appliance.store import keys
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from tests.unit.first_manager import FIRST, only_member


class World:
    """The manager n1, alone, whose etcd has just been started."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)
        self.layout.cluster_file.parent.mkdir(parents=True)
        self.layout.cluster_file.touch()
        self.store = MemoryStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.mirror.start()
        self.state = State(self.mirror)
        self.channels = EtcdChannels(["127.0.0.1:2379"])
        self.members = only_member()

    def care(self, identity: NodeIdentity = FIRST) -> float | None:
        return OwnMemberCare(self.layout, identity, self.state, self.channels, self.members).cycle()

    def etcd_writes(self) -> None:
        wal = self.layout.etcd_data / "member/wal"
        wal.mkdir(parents=True)
        (wal / "0.wal").touch()

    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.layout.sidecar_files / "etcd/etcd.json").read_bytes())
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.mirror.stop()
    made.store.close()
    made.channels.close()


def test_with_data_its_etcd_never_starts_without_again(world: World) -> None:
    assert world.care() is not None
    assert node_files.read_member(world.layout) is None
    world.etcd_writes()
    assert world.care() is None
    assert node_files.read_member(world.layout) == OwnMember(id="1")
    assert world.settings()["initial-cluster-state"] == "existing"
    assert world.settings()["initial-cluster"] == "n1=https://10.0.0.1:2380"


def test_the_others_hear_where_it_moved_to(world: World) -> None:
    world.care(replace(FIRST, address="10.0.0.9"))
    assert [member.peer_url for member in world.members.list()] == ["https://10.0.0.9:2380"]


def test_other_managers_are_asked_when_its_own_etcd_does_not_serve(world: World) -> None:
    second = NodeSpec(id="n2", name="two", number=2, address="10.0.0.2", roles=("manager", "agent"))
    agent = NodeSpec(id="n3", name="three", number=3, address="10.0.0.3")
    revision = world.store.commit([world.state.nodes.put("n2", second), world.state.nodes.put("n3", agent)])
    assert world.mirror.wait_for(revision, 5)
    world.care()
    assert [each.endpoint for each in world.channels.candidates()] == ["127.0.0.1:2379", "10.0.0.2:2379"]


def test_one_that_is_no_member_yet_looks_again(world: World) -> None:
    assert world.care(replace(FIRST, id="n2", address="10.0.0.2")) == 1.0
