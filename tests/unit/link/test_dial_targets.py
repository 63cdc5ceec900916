"""Which nodes the manager connects to by itself."""

from collections.abc import Iterator

import pytest

from appliance.link.dial_targets import DialTargets
from appliance.model.node import Dial, NodeSpec
from tests.lab.waiting import eventually
from tests.unit.link.cluster_in_memory import ClusterInMemory

Targets = dict[str, tuple[str, int]]


class Link:
    def __init__(self) -> None:
        self.targets: Targets = {}

    def set_dial_targets(self, targets: Targets) -> None:
        self.targets = targets


@pytest.fixture
def cluster() -> Iterator[ClusterInMemory]:
    cluster = ClusterInMemory(1)
    yield cluster
    cluster.mirror.stop()


def node(number: int, dial: Dial) -> NodeSpec:
    return NodeSpec(id=f"n{number}", name=f"n{number}", number=number, address=f"192.0.2.{number}", dial=dial)


def test_it_follows_nodes_that_come_change_and_go(cluster: ClusterInMemory) -> None:
    link = Link()
    nodes = cluster.state.nodes
    cluster.commit(nodes.put("n2", node(2, "manager")))
    dialling = DialTargets(cluster.state, link)
    dialling.start()
    assert link.targets == {"n2": ("192.0.2.2", 8444)}
    cluster.commit(nodes.put("n3", node(3, "manager")), nodes.put("n2", node(2, "agent")))
    eventually(lambda: link.targets == {"n3": ("192.0.2.3", 8444)}, 30)
    cluster.commit(nodes.delete("n3"))
    eventually(lambda: link.targets == {}, 30)
    dialling.stop()
    cluster.commit(nodes.put("n2", node(2, "manager")))
    assert link.targets == {}
