"""The orchestrator and the scheduler over a store in memory, as a leader runs them."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from appliance.errors import Conflict
from appliance.model.cluster import Cluster
from appliance.model.container import Container
from appliance.model.node import NodeFacts, NodeSpec, NodeStatus
from appliance.model.service import Deploy, Revision, Service, ServiceHead
from appliance.orchestrator.controller import Orchestrator
from appliance.scheduler.controller import Scheduler
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Expect, Put

FACTS = NodeFacts(
    version="1", architecture="x86_64", cpu=4000, memory=8 * 2**30, kernel="6", engine="docker", boot_id="b"
)
NOW = "2026-01-01T00:00:00Z"


class House:
    """A leading manager's view of a store."""

    def __init__(self, nodes: int) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.term: Expect | None = Expect(keys.LEADER, self.store.commit([Put(keys.LEADER, b"m")]))
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        self.orchestrator = Orchestrator(self.store, self.state, lambda: self.term)
        self.scheduler = Scheduler(self.store, self.state, lambda: self.term, self._now)
        self.meanwhile: Callable[[], None] | None = None
        cluster = Cluster(id="c", name="c", url="", network="10.42.0.0/16", ca_fingerprint="", created_at=NOW)
        self.write(Put(keys.CLUSTER, encode(cluster)))
        for number in range(1, nodes + 1):
            node = NodeSpec(id=f"n{number}", name=f"n{number}", number=number, address=f"192.0.2.{number}")
            status = NodeStatus(id=node.id, state="ready", since=NOW, facts=FACTS)
            self.write(self.state.nodes.put(node.id, node), self.state.node_status.put(node.id, status))
        self.mirror.start()

    def _now(self) -> str:
        """Asked for while the scheduler decides."""
        if self.meanwhile is not None:
            self.meanwhile()
        return NOW

    def forget(self, instance: str) -> None:
        self.revision = self.store.commit([self.state.instances.delete(instance)])
        self.mirror.wait_for(self.revision, 5)

    def write(self, *puts: Put) -> None:
        self.revision = self.store.commit(puts)

    def apply(self, replicas: int) -> None:
        web = Deploy(name="web", replicas=replicas, containers={"main": Container(image="a:1")})
        spec = Service(name="s", deploys={"web": web})
        revision = Revision(service="s", number=1, spec=spec, author="me", created_at=NOW)
        head = self.state.services.put("s", ServiceHead(service="s", revision=1))
        self.write(Put(keys.revision_key("s", 1), encode(revision)), head)
        self.mirror.wait_for(self.revision, 5)

    def commits(self) -> int:
        return self.store.list(keys.ROOT).revision


@pytest.fixture
def house() -> Iterator[House]:
    house = House(nodes=3)
    yield house
    house.mirror.stop()


def test_thirty_new_instances_are_one_commit_of_each(house: House) -> None:
    house.apply(30)
    before = house.commits()
    house.orchestrator.cycle()
    assert house.commits() == before + 1
    house.scheduler.cycle()
    assert house.commits() == before + 2
    house.orchestrator.cycle()
    house.scheduler.cycle()
    assert house.commits() == before + 2


def test_every_instance_gets_a_node_and_an_address_of_its_own(house: House) -> None:
    house.apply(200)
    house.orchestrator.cycle()
    house.scheduler.cycle()
    bindings = house.state.bindings.all().values()
    assert len({binding.ip for binding in bindings}) == len(bindings) == 200
    assert sorted(Counter(binding.node for binding in bindings).values()) == [66, 67, 67]


def test_an_instance_that_is_forgotten_while_the_scheduler_decides_is_not_bound(house: House) -> None:
    house.apply(3)
    house.orchestrator.cycle()
    house.meanwhile = lambda: house.forget("s/web-1")
    house.scheduler.cycle()
    assert house.state.bindings.all().keys() == {"s/web-0", "s/web-2"}
    house.meanwhile = None
    house.orchestrator.cycle()
    house.scheduler.cycle()
    assert house.state.bindings.all().keys() == {"s/web-0", "s/web-1", "s/web-2"}


def test_who_does_not_lead_writes_nothing(house: House) -> None:
    house.apply(3)
    house.term = None
    house.orchestrator.cycle()
    assert not house.state.instances.all()


def test_who_no_longer_leads_is_refused_by_the_store(house: House) -> None:
    house.apply(3)
    house.write(Put(keys.LEADER, b"other"))
    with pytest.raises(Conflict):
        house.orchestrator.cycle()


def test_a_deleted_service_leaves_nothing_behind(house: House) -> None:
    house.apply(0)
    head = ServiceHead(service="s", revision=1, deleted=True)
    house.write(house.state.services.put("s", head))
    house.mirror.wait_for(house.revision, 5)
    house.orchestrator.cycle()
    assert (house.state.services.all(), house.state.revisions.all()) == ({}, {})


def test_a_refusal_is_written_once_and_goes_when_a_node_is_found(house: House) -> None:
    nodes = house.state.nodes.all()
    for node in nodes.values():
        cordoned = NodeSpec(id=node.id, name=node.name, number=node.number, address=node.address, cordoned=True)
        house.write(house.state.nodes.put(node.id, cordoned))
    house.apply(1)
    house.orchestrator.cycle()
    house.scheduler.cycle()
    before = house.commits()
    house.scheduler.cycle()
    assert house.commits() == before
    assert house.state.refusals.all()["s/web-0"].reason == "3 of 3 nodes are cordoned"
    house.write(house.state.nodes.put("n1", nodes["n1"]))
    house.mirror.wait_for(house.revision, 5)
    house.scheduler.cycle()
    assert house.state.refusals.all() == {}
    assert house.state.bindings.all()["s/web-0"].node == "n1"
