"""What managers tell nodes, and when."""

from collections.abc import Iterator

import pytest

from appliance.link.dispatch import Dispatch
from appliance.link.messages import FromManager, Orders, Peers
from appliance.model.node import Peer
from appliance.orchestrator.assignments import assignments_for
from tests.lab.waiting import eventually
from tests.unit.link.cluster_in_memory import ClusterInMemory


class Outbox:
    """The messages to each node that is connected."""

    def __init__(self) -> None:
        self.nodes = {"n1", "n2"}
        self.sent: list[tuple[str, FromManager]] = []

    def connected(self) -> set[str]:
        return set(self.nodes)

    def send(self, node_id: str, message: FromManager) -> None:
        self.sent.append((node_id, message))

    def take(self) -> list[tuple[str, FromManager]]:
        """What was sent since it was last asked, by node."""
        taken, self.sent = sorted(self.sent, key=lambda pair: pair[0]), []
        return taken

    def orders(self) -> list[tuple[str, bool, list[str], list[str]]]:
        """(node, full, assigned, forgotten) of all orders since it was last asked."""
        return [
            (node, message.full, sorted(one.instance for one in message.assignments), list(message.forget))
            for node, message in self.take()
            if isinstance(message, Orders)
        ]


class House:
    def __init__(self) -> None:
        self.cluster = ClusterInMemory(nodes=2)
        self.outbox = Outbox()
        self.dispatch = Dispatch(self.cluster.state, self.outbox, assignments_for)

    def settled(self) -> "House":
        """Two instances run on n1 and one on n2; both nodes know."""
        for index, node in enumerate(("n1", "n1", "n2")):
            self.cluster.bind(f"s/web-{index}", node, f"10.42.1.{index + 2}")
        self.dispatch.cycle()
        self.outbox.take()
        return self


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.dispatch.stop()
    house.cluster.mirror.stop()


def test_a_node_gets_all_that_is_its_own_with_the_first_orders(house: House) -> None:
    house.cluster.bind("s/web-0", "n1")
    house.cluster.bind("s/web-1", "n1")
    house.dispatch.cycle()
    assert house.outbox.orders() == [("n1", True, ["s/web-0", "s/web-1"], []), ("n2", True, [], [])]


def test_nothing_is_sent_while_nothing_changes(house: House) -> None:
    house.settled().dispatch.cycle()
    assert house.outbox.take() == []


def test_a_change_is_sent_alone_and_only_to_its_node(house: House) -> None:
    house.settled().cluster.bind("s/web-1", "n1", "10.42.1.99")
    house.cluster.bind("s/web-7", "n1", "10.42.1.9")
    house.dispatch.cycle()
    assert house.outbox.orders() == [("n1", False, ["s/web-1", "s/web-7"], [])]


def test_an_instance_that_is_gone_is_to_be_forgotten(house: House) -> None:
    house.settled().cluster.forget("s/web-0")
    house.dispatch.cycle()
    assert house.outbox.orders() == [("n1", False, [], ["s/web-0"])]
    house.dispatch.cycle()
    assert house.outbox.orders() == []


def test_a_node_that_says_hello_gets_everything_anew_and_others_nothing(house: House) -> None:
    house.settled().dispatch.greet("n1")
    house.dispatch.cycle()
    sent = house.outbox.take()
    assert [(node, type(message)) for node, message in sent] == [("n1", Peers), ("n1", Orders)]
    assert isinstance(sent[1][1], Orders) and sent[1][1].full and len(sent[1][1].assignments) == 2


def test_a_node_that_was_away_is_told_of_what_went_meanwhile_by_its_absence(house: House) -> None:
    house.settled().outbox.nodes = {"n2"}
    house.cluster.forget("s/web-0")
    house.dispatch.cycle()
    assert house.outbox.orders() == []
    house.outbox.nodes = {"n1", "n2"}
    house.dispatch.greet("n1")
    house.dispatch.cycle()
    assert house.outbox.orders() == [("n1", True, ["s/web-1"], [])]


def test_peers_are_the_nodes_that_have_told_their_mac(house: House) -> None:
    house.cluster.set_node("n1", "ready", "02:01")
    house.cluster.set_node("n2", "joining")
    house.cluster.bind("s/web-0", "n1", "10.42.1.2")
    house.dispatch.cycle()
    peers = Peers(
        peers=(Peer(node="n1", number=1, address="192.0.2.1", vtep_mac="02:01"),), names={"s/web-0": "10.42.1.2"}
    )
    sent = house.outbox.take()
    assert ("n1", peers) in sent and ("n2", peers) in sent


def test_peers_are_sent_again_only_when_they_changed(house: House) -> None:
    house.cluster.set_node("n1", "ready", "02:01")
    house.settled().cluster.set_node("n1", "unreachable", "02:01")
    house.dispatch.cycle()
    assert house.outbox.take() == [], "an unreachable node's instances keep running: it stays a peer"
    house.cluster.set_node("n2", "ready", "02:02")
    house.dispatch.cycle()
    sent = house.outbox.take()
    assert [node for node, _ in sent] == ["n1", "n2"]
    assert all(isinstance(message, Peers) and len(message.peers) == 2 for _, message in sent)


def test_a_started_dispatch_follows_the_state_by_itself(house: House) -> None:
    house.dispatch.start()
    eventually(lambda: len(house.outbox.sent) == 4, 5)
    house.cluster.bind("s/web-0", "n1")
    eventually(lambda: any(isinstance(m, Orders) and m.assignments for _, m in house.outbox.sent), 5)
