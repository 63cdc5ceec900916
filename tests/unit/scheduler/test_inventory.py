"""The fleet follows the state, from what has changed alone."""

from collections.abc import Iterator

import msgspec
import pytest

from appliance.model.cluster import Cluster
from appliance.model.container import Container, Resources
from appliance.model.instance import Binding, Instance, InstanceState, InstanceStatus
from appliance.model.job import Job
from appliance.model.node import NodeFacts, NodeSpec, NodeState, NodeStatus
from appliance.model.service import Deploy, Revision, Service
from appliance.scheduler.inventory import Inventory
from appliance.scheduler.schedule import schedule
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Delete, Put

NOW = "2026-01-01T00:00:00Z"
FACTS = NodeFacts(version="1", architecture="x86_64", cpu=4000, memory=8 * 2**30, kernel="", engine="", boot_id="")


class World:
    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        cluster = Cluster(id="c", name="c", url="", network="10.42.0.0/16", ca_fingerprint="", created_at=NOW)
        self.store.commit([Put(keys.CLUSTER, encode(cluster))])
        self.mirror.start()
        self.inventory = Inventory(self.state)

    def write(self, *operations: Put | Delete) -> None:
        assert self.mirror.wait_for(self.store.commit(operations), 5)
        self.inventory.refresh()

    def node(self, number: int, state: NodeState = "ready", **spec: object) -> None:
        node = NodeSpec(id=f"n{number}", name=f"n{number}", number=number, address="")
        status = NodeStatus(id=node.id, state=state, since=NOW, facts=FACTS)
        node = msgspec.structs.replace(node, **spec)
        self.write(self.state.nodes.put(node.id, node), self.state.node_status.put(node.id, status))

    def revision(self, cpu: int = 1000, number: int = 1) -> None:
        main = Container(image="a", resources=Resources(cpu=cpu))
        web = Deploy(name="web", containers={"main": main})
        spec = Service(name="s", deploys={"web": web}, jobs={"job": Job(name="job", type="once", container=main)})
        revision = Revision(service="s", number=number, spec=spec, author="", created_at=NOW)
        self.write(Put(keys.revision_key("s", number), encode(revision)))

    def instance(self, index: int, *, deploy: str = "web", revision: int = 1, run: int = 0) -> None:
        name = f"s/{deploy}-{index}"
        wish = Instance(name=name, service="s", deploy=deploy, index=index, revision=revision, run=run)
        self.write(self.state.instances.put(name, wish))

    def bind(self, index: int, node: str = "n1", deploy: str = "web") -> None:
        name = f"s/{deploy}-{index}"
        binding = Binding(instance=name, node=node, ip=f"10.42.1.{index + 2}", bound_at=NOW)
        self.write(self.state.bindings.put(name, binding))

    def report(self, name: str, state: InstanceState, node: str = "n1") -> None:
        self.write(self.state.instance_status.put(name, InstanceStatus(instance=name, node=node, state=state)))

    def used(self, node: str = "n1") -> tuple[int, int]:
        """Thousandths of a core, and addresses."""
        room = self.inventory.fleet.rooms[node]
        return room.cpu, 253 - room.addresses.left

    def waiting(self) -> list[str]:
        return sorted(name for name, _ in self.inventory.pending())


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.mirror.stop()


def test_an_instance_waits_until_it_is_bound_and_then_holds_what_it_needs(world: World) -> None:
    world.node(1)
    world.revision()
    world.instance(0)
    assert (world.waiting(), world.used()) == (["s/web-0"], (0, 0))
    world.bind(0)
    assert (world.waiting(), world.used()) == ([], (1000, 1))
    world.write(world.state.bindings.delete("s/web-0"))
    assert (world.waiting(), world.used()) == (["s/web-0"], (0, 0))
    world.write(world.state.instances.delete("s/web-0"))
    assert world.waiting() == []


def test_an_instance_whose_revision_comes_later_waits_for_it(world: World) -> None:
    world.node(1)
    world.instance(0)
    world.instance(1)
    world.bind(1)
    assert (world.waiting(), world.used()) == ([], (0, 1))
    world.revision()
    assert (world.waiting(), world.used()) == (["s/web-0"], (1000, 1))


def test_an_update_in_place_changes_what_is_held(world: World) -> None:
    world.node(1)
    world.revision()
    world.revision(cpu=3000, number=2)
    world.instance(0)
    world.bind(0)
    world.instance(0, revision=2)
    assert world.used() == (3000, 1)


def test_a_service_that_was_made_anew_is_read_anew(world: World) -> None:
    world.node(1)
    world.revision()
    world.instance(0)
    world.bind(0)
    world.revision(cpu=10)
    world.instance(0, run=0, revision=1)
    world.instance(1)
    assert world.inventory.need("s/web-1") and world.inventory.need("s/web-1").cpu == 10  # type: ignore[union-attr]


@pytest.mark.parametrize("state", ["succeeded", "failed", "stopped"])
def test_a_job_that_has_ended_holds_nothing_but_its_address(world: World, state: InstanceState) -> None:
    world.node(1)
    world.revision()
    world.instance(0, deploy="job", run=1)
    world.bind(0, deploy="job")
    assert world.used() == (1000, 1)
    world.report("s/job-0", state, node="n7")
    assert world.used() == (1000, 1), "another node's report says nothing"
    world.report("s/job-0", state)
    assert world.used() == (0, 1)


def test_a_stopped_instance_of_a_deploy_keeps_its_place(world: World) -> None:
    world.node(1)
    world.revision()
    world.instance(0)
    world.bind(0)
    world.report("s/web-0", "stopped")
    assert world.used() == (1000, 1)


def test_a_node_that_changes_keeps_what_it_holds(world: World) -> None:
    world.revision()
    world.instance(0)
    world.bind(0)
    assert world.inventory.fleet.rooms == {}
    world.node(1)
    assert world.used() == (1000, 1)
    world.node(1, state="unreachable", labels={"zone": "a"})
    assert world.used() == (1000, 1)
    world.write(world.state.nodes.delete("n1"))
    assert world.inventory.fleet.rooms == {}
    world.node(1)
    assert world.used() == (1000, 1)


def test_a_report_that_changes_nothing_for_the_scheduler_leaves_the_indexes(world: World) -> None:
    world.node(1)
    epoch = world.inventory.fleet.epoch
    status = NodeStatus(id="n1", state="ready", since="later", facts=FACTS, message="new")
    world.write(world.state.node_status.put("n1", status))
    assert world.inventory.fleet.epoch == epoch


def test_what_was_believed_is_given_back_when_the_store_does_not_say_so(world: World) -> None:
    world.node(1)
    world.revision()
    world.instance(0)
    outcome = schedule(world.inventory.pending(), world.inventory.fleet, NOW)
    world.inventory.believe(outcome.placed)
    assert (world.waiting(), world.used()) == ([], (1000, 1))
    world.inventory.refresh()
    assert (world.waiting(), world.used()) == (["s/web-0"], (0, 0))


def test_an_inventory_made_late_is_the_same(world: World) -> None:
    world.node(1)
    world.revision()
    world.instance(0)
    world.instance(1)
    world.bind(0)
    late = Inventory(world.state)
    late.refresh()
    assert late.pending() == world.inventory.pending()
    assert (late.fleet.rooms["n1"].cpu, late.fleet.rooms["n1"].addresses.left) == (1000, 252)


def test_nothing_is_missed_when_the_copy_was_listed_anew(world: World) -> None:
    world.node(1)
    world.revision()
    for index in (0, 1):
        world.instance(index)
        world.bind(index)
    world.mirror.stop()
    world.store.commit([world.state.bindings.delete("s/web-0"), world.state.nodes.delete("n2")])
    world.store.compact()
    world.mirror.start()
    world.inventory.refresh()
    assert (world.waiting(), world.used()) == (["s/web-0"], (1000, 1))
