"""A node that moved is believed, and every node hears where it is and where the managers are."""

import msgspec
import pytest

from appliance.errors import Conflict, UsageError
from appliance.link.messages import Picture, Whereabouts
from appliance.link.whereabouts import Movers, moving, whereabouts_telling
from appliance.model.cluster import Cluster
from appliance.model.node import NodeSpec
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.unit.link.cluster_in_memory import ClusterInMemory, unstamped


class Outbox:
    def __init__(self, *connected: str) -> None:
        self._connected = set(connected)
        self.sent: list[tuple[str, Picture]] = []

    def send(self, node_id: str, message: Picture) -> None:
        self.sent.append((node_id, unstamped(message)))

    def followers(self) -> set[str]:
        return self._connected

    def take(self) -> dict[str, Picture]:
        found, self.sent = dict(self.sent), []
        return found


@pytest.fixture
def cluster() -> ClusterInMemory:
    """`n1` is the manager."""
    cluster = ClusterInMemory(3)
    manager = NodeSpec(id="n1", name="n1", number=1, address="192.0.2.1", roles=("manager", "agent"))
    described = Cluster(
        id="c", name="c", url="https://192.0.2.1:8443/", network="10.99.0.0/16", ca_fingerprint="", created_at=""
    )
    cluster.commit(cluster.state.nodes.put("n1", manager), Put(keys.CLUSTER, encode(described)))
    return cluster


def at(address: str, manager: str = "192.0.2.1") -> Whereabouts:
    return Whereabouts(address=address, managers=(f"{manager}:8444",))


def node(cluster: ClusterInMemory, name: str) -> NodeSpec:
    found = cluster.state.nodes.get(name)
    assert found
    return found


def test_a_node_hears_where_it_is_once_and_again_after_a_hello(cluster: ClusterInMemory) -> None:
    outbox = Outbox("n1", "n2")
    dispatch = whereabouts_telling(cluster.state, outbox)
    dispatch.cycle()
    assert outbox.take() == {"n1": at("192.0.2.1"), "n2": at("192.0.2.2")}
    dispatch.cycle()
    assert outbox.take() == {}
    dispatch.greet("n2")
    dispatch.cycle()
    assert outbox.take() == {"n2": at("192.0.2.2")}


def test_a_node_that_moved_is_written_down(cluster: ClusterInMemory) -> None:
    movers = Movers(cluster.state, cluster.store)
    movers.said("n2", "192.0.2.77")
    assert movers.cycle() is None
    assert node(cluster, "n2").address == "192.0.2.77"


def test_a_node_does_not_get_the_address_of_another(cluster: ClusterInMemory, caplog: pytest.LogCaptureFixture) -> None:
    movers = Movers(cluster.state, cluster.store)
    movers.said("n2", "192.0.2.3")
    assert movers.cycle() and movers.cycle()  # tried again: the other may move away
    assert len(caplog.messages) == 1
    assert node(cluster, "n2").address == "192.0.2.2"
    with pytest.raises(Conflict, match="n3 has"):
        moving(cluster.state, node(cluster, "n2"), "192.0.2.3")
    with pytest.raises(UsageError):
        moving(cluster.state, node(cluster, "n2"), "n3; reboot")


def test_when_the_manager_moves_the_page_moves_and_all_hear_of_it(cluster: ClusterInMemory) -> None:
    outbox = Outbox("n1", "n2")
    operations, expect = moving(cluster.state, node(cluster, "n1"), "192.0.2.99")
    cluster.mirror.wait_for(cluster.store.commit(operations, expect), 5)
    whereabouts_telling(cluster.state, outbox).cycle()
    assert outbox.take() == {"n1": at("192.0.2.99", "192.0.2.99"), "n2": at("192.0.2.2", "192.0.2.99")}
    now = cluster.state.cluster()
    assert now and now.url == "https://192.0.2.99:8443/"


def test_what_somebody_changes_of_the_cluster_while_a_manager_moves_is_not_lost(cluster: ClusterInMemory) -> None:
    move = moving(cluster.state, node(cluster, "n1"), "192.0.2.99")
    now = cluster.state.cluster()
    assert now
    cluster.commit(cluster.state.cluster_cell.put(msgspec.structs.replace(now, time_servers=("192.0.2.7",))))
    with pytest.raises(Conflict):
        cluster.store.commit(*move)
