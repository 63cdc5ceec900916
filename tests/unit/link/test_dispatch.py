"""What managers tell nodes, and when."""

from collections.abc import Iterator

import pytest

from appliance.errors import NotFound
from appliance.link import orders
from appliance.link.dispatch import Dispatch, peers_telling
from appliance.link.messages import Gates, Orders, Peers, Picture
from appliance.model.certificate import RevokedKey
from appliance.model.container import Container
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.node import Peer
from appliance.model.service import Deploy, Revision, Service
from appliance.orchestrator.assignments import assignment
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.state import State
from appliance.store.store import Delete, Put
from tests.lab.waiting import eventually
from tests.unit.link.cluster_in_memory import NOW, ClusterInMemory


class Outbox:
    """The messages to each node that follows."""

    def __init__(self) -> None:
        self.nodes = {"n1", "n2"}
        self.sent: list[tuple[str, Picture]] = []

    def followers(self) -> set[str]:
        return set(self.nodes)

    def send(self, node_id: str, message: Picture) -> None:
        self.sent.append((node_id, message))

    def take(self) -> list[tuple[str, Picture]]:
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
        self.secrets: dict[str, str] = {}
        self.gates: dict[str, int] = {}
        self.peers = peers_telling(self.cluster.state, self.outbox)
        self.dispatch = Dispatch(self.cluster.state, self.outbox, assignment, self._unseal, self._gates_for)

    def _unseal(self, service: str, name: str, version: int) -> str:
        if name not in self.secrets:
            raise NotFound(f"There is no secret {name}.")
        return f"{self.secrets[name]}, version {version}"

    def _gates_for(self, state: State) -> dict[str, int]:
        return self.gates

    def revise(self) -> None:
        """The service's only revision is another one now."""
        web = Deploy(name="web", containers={"main": Container(image="a:1", secret_env={"KEY": "key"})})
        spec = Service(name="s", deploys={"web": web}, secrets=("key",))
        revision = Revision(service="s", number=1, spec=spec, author="me", created_at=NOW, secrets={"key": 3})
        self.cluster.commit(Put(keys.revision_key("s", 1), encode(revision)))

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
    assert [(node, type(message)) for node, message in sent] == [("n1", Gates), ("n1", Orders)]
    assert isinstance(sent[1][1], Orders) and sent[1][1].full and len(sent[1][1].assignments) == 2
    assert {message.stamp for _, message in sent if isinstance(message, Picture)} == {house.cluster.state.stamp()}


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
    house.peers.cycle()
    peers = (Peer(node="n1", number=1, address="192.0.2.1", vtep_mac="02:01"),)
    sent = [(node, message.peers) for node, message in house.outbox.take() if isinstance(message, Peers)]
    assert sent == [("n1", peers), ("n2", peers)]


def test_a_node_whose_key_is_revoked_is_nobodys_peer(house: House) -> None:
    house.cluster.set_node("n1", "ready", "02:01")
    key = RevokedKey(fingerprint="SHA256:x", node="n1", name="n1", at=NOW)
    house.cluster.commit(house.cluster.state.revoked.put(key.fingerprint, key))
    house.peers.cycle()
    assert [message.peers for _, message in house.outbox.take() if isinstance(message, Peers)] == [(), ()]


def test_peers_are_sent_again_only_when_they_changed(house: House) -> None:
    house.cluster.set_node("n1", "ready", "02:01")
    house.peers.cycle()
    house.outbox.take()
    house.cluster.set_node("n1", "unreachable", "02:01")
    house.peers.cycle()
    assert house.outbox.take() == [], "an unreachable node's instances keep running: it stays a peer"
    house.cluster.set_node("n2", "ready", "02:02")
    house.peers.cycle()
    sent = house.outbox.take()
    assert [node for node, _ in sent] == ["n1", "n2"]
    assert all(isinstance(message, Peers) and len(message.peers) == 2 for _, message in sent)


def test_a_started_dispatch_follows_the_state_by_itself(house: House) -> None:
    house.dispatch.start()
    eventually(lambda: len(house.outbox.sent) == 4, 30)
    house.cluster.bind("s/web-0", "n1")
    eventually(lambda: any(isinstance(m, Orders) and m.assignments for _, m in house.outbox.sent), 30)


def test_orders_carry_the_secrets_of_their_assignments(house: House) -> None:
    house.secrets["key"] = "open sesame"
    house.revise()
    house.settled().dispatch.greet("n1")
    house.cluster.bind("s/web-7", "n2", "10.42.1.9")
    house.dispatch.cycle()
    carried = {node: message.secrets for node, message in house.outbox.take() if isinstance(message, Orders)}
    told = {"s/key@3": "open sesame, version 3"}
    assert carried == {"n1": told, "n2": told}


def test_a_secret_that_cannot_be_told_is_left_out(house: House) -> None:
    house.revise()
    house.cluster.bind("s/web-0", "n1")
    house.dispatch.cycle()
    sent = next(message for node, message in house.outbox.take() if node == "n1" and isinstance(message, Orders))
    assert len(sent.assignments) == 1 and sent.secrets == {}


def test_what_a_node_was_told_holds_while_its_revision_cannot_be_read(house: House) -> None:
    house.settled().cluster.commit(Delete(keys.revision_key("s", 1)))
    house.dispatch.cycle()
    assert house.outbox.orders() == []
    house.dispatch.greet("n1")
    house.dispatch.cycle()
    message = next(message for _, message in house.outbox.take() if isinstance(message, Orders))
    assert message.full and message.assignments == () and message.keep == ("s/web-0", "s/web-1")


def test_gates_of_its_services_are_told_to_a_node_after_hello_and_when_they_change(house: House) -> None:
    def told() -> list[tuple[str, dict[str, int]]]:
        return [(node, message.open) for node, message in house.outbox.take() if isinstance(message, Gates)]

    house.cluster.bind("s/web-0", "n1")
    house.gates = {"s": 1, "other": 0}
    house.outbox.nodes = {"n1"}
    house.dispatch.greet("n1")
    house.dispatch.cycle()
    assert told() == [("n1", {"s": 1})]
    house.dispatch.cycle()
    assert told() == []
    house.gates = {}
    house.dispatch.cycle()
    assert told() == [("n1", {})]
    house.outbox.nodes = {"n2"}
    house.dispatch.cycle()
    assert told() == [("n2", {})]


def test_orders_that_are_too_large_for_a_message_come_in_several() -> None:
    texts = {f"s/key@{index}": "x" * (orders.MOST_BYTES // 2) for index in range(3)}
    three = [
        Assignment(
            instance=f"s/web-{index}",
            service="s",
            deploy="web",
            index=index,
            revision=1,
            containers=(PlannedContainer(name="main", spec=Container(image="a:1"), secrets={"key": index}),),
        )
        for index in range(3)
    ]

    def secrets_of(one: Assignment) -> dict[str, str]:
        return {f"s/key@{one.index}": texts[f"s/key@{one.index}"]}

    full = list(orders.everything(three, ("s/web-9",), secrets_of))
    assert [(one.full, [each.instance for each in one.assignments], one.keep) for one in full] == [
        (True, ["s/web-0"], ("s/web-1", "s/web-2", "s/web-9")),
        (False, ["s/web-1"], ()),
        (False, ["s/web-2"], ()),
    ]
    assert [one.secrets for one in full] == [secrets_of(one) for one in three]
    assert list(orders.everything((), (), secrets_of)) == [Orders(full=True)]
    assert list(orders.changes((), (), secrets_of)) == []
