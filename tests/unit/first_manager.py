"""The manager n1 at 10.0.0.1, first of its cluster: what its disk, the store and etcd know of it, for tests."""

from appliance.model.cluster import etcd_peer_url
from appliance.model.identity import NodeIdentity
from appliance.model.node import NodeSpec
from appliance.store.memory_members import MemoryMembership

FIRST = NodeIdentity(
    id="n1",
    name="one",
    number=1,
    address="10.0.0.1",
    roles=("manager", "agent"),
    cluster_id="c1",
    cluster_name="test",
    network="10.0.0.0/16",
    managers=("10.0.0.1:8444",),
)
FIRST_NODE = NodeSpec(id="n1", name="one", number=1, address="10.0.0.1", roles=("manager", "agent"))


def only_member() -> MemoryMembership:
    """An etcd of which it is the only member."""
    return MemoryMembership("n1", etcd_peer_url("10.0.0.1"))
