"""Up to which rank instances may start after a start of their nodes."""

from collections.abc import Iterator

import msgspec
import pytest

from appliance.model.manager import Alive
from appliance.model.node import NodeStatus
from appliance.orchestrator.gates import gates
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Put
from tests.unit.orchestrator.stage import Stage, deploy, spec


class Cluster:
    """A settled service in a store."""

    def __init__(self, stage: Stage) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        self.store.commit([Put(keys.revision_key("s", n), encode(each)) for n, each in stage.revisions.items()])
        self.store.commit([self.state.instances.put(name, each) for name, each in stage.instances.items()])
        self.store.commit([self.state.instance_status.put(name, each) for name, each in stage.statuses.items()])
        self.mirror.start()
        self.hear("n1", "first")
        self.live("first")

    def live(self, run: str) -> None:
        """The manager's process of now."""
        self.write(self.state.alive.put("m", Alive(id="m", run=run)))

    def hear(self, node: str, run: str) -> None:
        """A process of the manager's hears the node's hello."""
        status = NodeStatus(id=node, state="ready", since="", manager="m", run=run)
        self.write(self.state.node_status.put(node, status))

    def remove(self, manager: str) -> None:
        assert self.mirror.wait_for(self.store.commit([self.state.alive.delete(manager)]), 5)

    def write(self, *puts: Put) -> None:
        assert self.mirror.wait_for(self.store.commit(puts), 5)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    stage = Stage()
    stage.apply(spec(deploy("db"), deploy("web", 2), deploy("top", 5)))
    stage.settle()
    cluster = Cluster(stage)
    yield cluster
    cluster.mirror.stop()


def test_a_service_that_is_complete_has_nothing_to_wait_for(cluster: Cluster) -> None:
    assert gates(cluster.state) == {}


def test_before_its_node_has_said_hello_nothing_counts_as_ready(cluster: Cluster) -> None:
    cluster.live("second")
    assert gates(cluster.state) == {"s": 0}
    cluster.hear("n1", "second")
    assert gates(cluster.state) == {}


def test_what_a_node_said_counts_as_long_as_the_manager_that_heard_it_lives(cluster: Cluster) -> None:
    cluster.write(cluster.state.alive.put("other", Alive(id="other", run="x")))
    assert gates(cluster.state) == {}
    cluster.remove("m")
    assert gates(cluster.state) == {"s": 0}


def test_the_gate_is_at_the_lowest_rank_that_is_not_ready(cluster: Cluster) -> None:
    status = cluster.state.instance_status.all()["s/web-0"]
    cluster.write(cluster.state.instance_status.put("s/web-0", msgspec.structs.replace(status, ready=False)))
    assert gates(cluster.state) == {"s": 2}


def test_a_stopped_instance_closes_no_gate(cluster: Cluster) -> None:
    instance = cluster.state.instances.all()["s/db-0"]
    stopped = msgspec.structs.replace(instance, desired="stopped")
    status = cluster.state.instance_status.all()["s/db-0"]
    cluster.write(
        cluster.state.instances.put("s/db-0", stopped),
        cluster.state.instance_status.put("s/db-0", msgspec.structs.replace(status, state="stopped", ready=False)),
    )
    assert gates(cluster.state) == {}
