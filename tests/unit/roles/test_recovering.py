"""The manager that is left becomes the only one: once, and only if its etcd is alone."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.host.layout import Layout
from appliance.model.cluster import Cluster, etcd_peer_url
from appliance.model.node import NodeSpec
from appliance.roles.founding import sidecars_of, write_files
from appliance.roles.recovering import finish
from appliance.store import keys
from appliance.store.codec import decode, encode
from appliance.store.memory import MemoryStore
from appliance.store.store import Put
from tests.unit.first_manager import FIRST, FIRST_NODE, only_member

OWN = replace(FIRST, managers=("10.0.0.1:8444", "10.0.0.2:8444"))
CLUSTER = Cluster(id="c", name="lab", url="u", network="n", ca_fingerprint="f", created_at="t", incarnation=4)
NODES = (
    FIRST_NODE,
    NodeSpec(id="n2", name="two", number=2, address="10.0.0.2", roles=("manager", "agent")),
    NodeSpec(id="n3", name="three", number=3, address="10.0.0.3"),
)


class World:
    """A recovery has begun: etcd's settings tell it to forget the others."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)
        self.layout.recovery_file.parent.mkdir(parents=True)
        self.layout.recovery_file.write_text("{}")
        for sidecar in sidecars_of(self.layout, OWN, alone=True):
            write_files(self.layout, sidecar)
        self.store = MemoryStore(lambda: 0.0)
        self.store.commit([Put(keys.CLUSTER, encode(CLUSTER)), *(Put(keys.NODES + n.id, encode(n)) for n in NODES)])
        self.members = only_member()

    def finish(self) -> list[str]:
        return finish(self.store, self.members, self.layout, OWN)

    @property
    def forgets_others(self) -> bool:
        return "force-new-cluster" in json.loads((self.layout.sidecar_files / "etcd/etcd.json").read_bytes())

    def cluster(self) -> Cluster:
        entry = self.store.get(keys.CLUSTER)
        assert entry is not None
        return decode(entry.value, Cluster, where=entry.key)

    def managers(self) -> list[str]:
        nodes = (decode(entry.value, NodeSpec, where=entry.key) for entry in self.store.list(keys.NODES).entries)
        return [node.id for node in nodes if "manager" in node.roles]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_others_are_agents_and_the_incarnation_is_higher(world: World) -> None:
    assert world.forgets_others
    said = world.finish()
    assert "two" in said[0] and "three" not in said[0]
    assert (world.managers(), world.cluster().incarnation) == (["n1"], 5)


def test_afterwards_etcd_never_forgets_a_member_again(world: World) -> None:
    world.finish()
    assert not world.forgets_others and not world.layout.recovery_file.exists()
    revision = world.store.list(keys.ROOT).revision
    assert world.finish() == []
    assert world.store.list(keys.ROOT).revision == revision


def test_nothing_is_changed_where_the_others_are_members_still(world: World) -> None:
    world.members.add_learner(etcd_peer_url("10.0.0.2"))
    assert "nothing was recovered" in world.finish()[0]
    assert (world.managers(), world.cluster().incarnation) == (["n1", "n2"], 4)
    assert not world.forgets_others and not world.layout.recovery_file.exists()
