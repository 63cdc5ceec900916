"""Flannel's leases, made from our nodes."""

import json

import pytest

from appliance.model.cluster import Cluster
from appliance.model.node import NodeSpec, NodeStatus
from appliance.network.leases import LeaseMirror
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Delete, Expect, Put


class World:
    """A store with a cluster, and the mirror of its leader."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        copy = Mirror(self.store, keys.ROOT)
        self.copy, self.state = copy, State(copy)
        copy.start()
        cluster = Cluster(
            id="c-1", name="c", url="", network="10.99.0.0/16", ca_fingerprint="", created_at="2026-01-01T00:00:00Z"
        )
        self.write(Put(keys.CLUSTER, encode(cluster)))
        self.term: Expect | None = Expect(keys.LEADER, self.write(Put(keys.LEADER, b"n-1")))
        self.mirror = LeaseMirror(self.store, self.state, lambda: self.term)

    def write(self, *operations: Put | Delete) -> int:
        revision = self.store.commit(operations)
        assert self.copy.wait_for(revision, 5)
        return revision

    def node(self, number: int, mac: str = "02:00:00:00:00:01") -> None:
        node = NodeSpec(id=f"n-{number}", name=f"n{number}", number=number, address=f"192.0.2.{number}")
        status = NodeStatus(id=node.id, state="ready", since="", vtep_mac=mac)
        self.write(self.state.nodes.put(node.id, node), self.state.node_status.put(node.id, status))

    def leases(self) -> dict[str, object]:
        self.mirror.cycle()
        return {entry.key: json.loads(entry.value) for entry in self.store.list("/coreos.com/").entries}


@pytest.fixture
def world() -> World:
    return World()


def test_the_config_is_flannels(world: World) -> None:
    assert world.leases()["/coreos.com/network/config"] == {
        "Network": "10.99.0.0/16",
        "SubnetLen": 24,
        "Backend": {"Type": "vxlan", "VNI": 1, "Port": 8472},
    }


def test_a_node_has_a_lease_as_flannel_writes_it(world: World) -> None:
    world.node(7)
    assert world.leases()["/coreos.com/network/subnets/10.99.7.0-24"] == {
        "PublicIP": "192.0.2.7",
        "PublicIPv6": None,
        "BackendType": "vxlan",
        "BackendData": {"VNI": 1, "VtepMAC": "02:00:00:00:00:01"},
    }


def test_a_node_whose_device_is_not_known_has_none(world: World) -> None:
    world.node(7, mac="")
    assert list(world.leases()) == ["/coreos.com/network/config"]


def test_the_lease_goes_with_the_node(world: World) -> None:
    world.node(7)
    world.leases()
    world.write(world.state.nodes.delete("n-7"), world.state.node_status.delete("n-7"))
    assert list(world.leases()) == ["/coreos.com/network/config"]


def test_what_is_right_is_not_written_again(world: World) -> None:
    world.node(7)
    world.leases()
    before = world.store.list("/").revision
    world.leases()
    assert world.store.list("/").revision == before


def test_only_a_leader_writes(world: World) -> None:
    world.term = None
    assert world.leases() == {}
