"""An instance that is updated in place gets an address or GPUs of its own node, or goes on as it was."""

from collections.abc import Iterator

import msgspec
import pytest

from appliance.model.cluster import Cluster
from appliance.model.container import Container, Resources
from appliance.model.instance import Binding, Instance
from appliance.model.node import Gpu, NodeFacts, NodeSpec, NodeStatus
from appliance.model.service import Deploy, Revision, Service
from appliance.orchestrator.assignments import assignment_now
from appliance.scheduler.controller import Scheduler
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import Need
from appliance.scheduler.renewal import renew
from appliance.scheduler.room import Holding
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Expect, Put
from tests.unit.scheduler.fleets import NOW, fleet, need, room

GPUS = (Gpu(id="g1", model="A100"), Gpu(id="g2", model="A100"))


def held(among: Fleet, name: str, wish: Need, ip: str = "", gpus: tuple[str, ...] = ()) -> Holding:
    """An instance on n1 whose binding was made for an earlier revision."""
    holding = Holding(Binding(instance=name, node="n1", ip=ip, bound_at="then", gpus=gpus), wish)
    among.take(holding)
    return holding


def test_from_the_hosts_network_to_the_overlay_it_gets_the_lowest_address() -> None:
    among = fleet(room(1))
    outcome = renew([held(among, "s/web-1", need()), held(among, "s/web-0", need())], among)
    found = [(each.binding.instance, each.binding.node, each.binding.ip) for each in outcome.placed]
    assert found == [("s/web-0", "n1", "10.0.1.2"), ("s/web-1", "n1", "10.0.1.3")]
    assert (among.rooms["n1"].addresses.left, among.rooms["n1"].instances) == (251, 2)
    assert {each.binding.bound_at for each in outcome.placed} == {"then"}


def test_to_the_hosts_network_it_gives_its_address_back() -> None:
    among = fleet(room(1))
    outcome = renew([held(among, "s/web-0", need(host_network=True), ip="10.0.1.2")], among)
    assert [each.binding.ip for each in outcome.placed] == [""]
    assert among.rooms["n1"].addresses.left == 253


def test_a_further_gpu_is_added_to_those_it_has() -> None:
    among = fleet(room(1, gpus=GPUS))
    outcome = renew([held(among, "s/web-0", need(gpus=((2, ""),)), ip="10.0.1.2", gpus=("g2",))], among)
    assert [each.binding.gpus for each in outcome.placed] == [("g2", "g1")]
    assert among.rooms["n1"].free_gpus == []


def test_what_it_needs_no_more_is_free_for_others() -> None:
    among = fleet(room(1, gpus=GPUS))
    renew([held(among, "s/web-0", need(), ip="10.0.1.2", gpus=("g1", "g2"))], among)
    assert among.rooms["n1"].free_gpus == list(GPUS)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (need(gpus=((2, "A100"),)), "its node n1 has too few free GPUs for 2 A100"),
        (need(), "its node n1 has no address left"),
    ],
)
def test_a_node_that_has_none_left_is_named_and_nothing_is_taken(wish: Need, reason: str) -> None:
    among = fleet(room(1, gpus=GPUS, addresses=1))
    held(among, "s/other-0", need("s/other"), ip="10.0.1.2", gpus=("g1",))
    mine = held(among, "s/web-0", wish, ip="10.0.1.9" if wish.gpus else "")
    outcome = renew([mine], among)
    assert (outcome.placed, [each.reason for each in outcome.refusals]) == ((), [reason])
    assert [gpu.id for gpu in among.rooms["n1"].free_gpus] == ["g2"]


class World:
    """A leading scheduler and one node with a GPU."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        term = Expect(keys.LEADER, self.store.commit([Put(keys.LEADER, b"m")]))
        self.scheduler = Scheduler(self.store, self.state, lambda: term, lambda: NOW)
        self.mirror.start()
        cluster = Cluster(id="c", name="c", url="", network="10.42.0.0/16", ca_fingerprint="", created_at=NOW)
        facts = NodeFacts(
            version="1", architecture="", cpu=4000, memory=2**33, kernel="", engine="", boot_id="", gpus=GPUS[:1]
        )
        node = NodeSpec(id="n1", name="n1", number=1, address="192.0.2.1")
        status = NodeStatus(id="n1", state="ready", since=NOW, facts=facts)
        self.write(Put(keys.CLUSTER, encode(cluster)), self.state.nodes.put("n1", node))
        self.write(self.state.node_status.put("n1", status))

    def write(self, *puts: Put) -> None:
        assert self.mirror.wait_for(self.store.commit(puts), 5)

    def update(self, number: int, gpus: int = 0, *, host_network: bool = False) -> None:
        """The orchestrator gives s/web-0 a revision; then the scheduler has its turn."""
        container = Container(image="a:1", resources=Resources(gpus=gpus))
        web = Deploy(name="web", containers={"main": container}, host_network=host_network)
        spec = Service(name="s", deploys={"web": web})
        revision = Revision(service="s", number=number, spec=spec, author="", created_at=NOW)
        wish = Instance(name="s/web-0", service="s", deploy="web", index=0, revision=number)
        self.write(Put(keys.revision_key("s", number), encode(revision)), self.state.instances.put(wish.name, wish))

    @property
    def binding(self) -> Binding:
        return self.state.bindings.all()["s/web-0"]

    def is_told(self) -> bool:
        """Whether the node gets to know its revision."""
        instance = self.state.instances.all()["s/web-0"]
        revision = self.state.revision("s", instance.revision)
        assert revision is not None
        return assignment_now(instance, self.binding, revision) is not None


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.mirror.stop()


def test_a_node_is_told_of_a_revision_once_its_binding_has_what_it_asks_for(world: World) -> None:
    world.update(1, host_network=True)
    world.scheduler.cycle()
    assert (world.binding.ip, world.is_told()) == ("", True)
    world.update(2, gpus=1)
    assert not world.is_told()
    world.scheduler.cycle()
    assert (world.binding.ip, world.binding.gpus, world.is_told()) == ("10.42.1.2", ("g1",), True)


def test_a_refusal_lasts_until_the_instance_asks_for_less(world: World) -> None:
    world.update(1)
    world.scheduler.cycle()
    before = world.binding
    world.update(2, gpus=2)
    world.scheduler.cycle()
    assert (world.binding, world.is_told()) == (before, False)
    assert world.state.refusals.all()["s/web-0"].reason == "its node n1 has too few free GPUs for 2"
    world.update(3)
    world.scheduler.cycle()
    assert (world.state.refusals.all(), world.is_told()) == ({}, True)


def test_an_instance_that_is_to_go_is_told_so_whatever_it_lacks(world: World) -> None:
    world.update(1)
    world.scheduler.cycle()
    world.update(2, gpus=2)
    gone = msgspec.structs.replace(world.state.instances.all()["s/web-0"], desired="removed")
    world.write(world.state.instances.put("s/web-0", gone))
    world.scheduler.cycle()
    assert world.is_told() and world.state.refusals.all() == {}
