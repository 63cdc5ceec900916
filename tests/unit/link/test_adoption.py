"""A restored cluster orders nothing before it is known that nothing that runs would have to end."""

from collections.abc import Iterator

import pytest

from appliance.link.adoption import Adoption, Hold, differences
from appliance.model.cluster import Cluster
from appliance.model.instance import Binding, ContainerStatus, Instance, InstanceStatus
from appliance.model.node import NodeSpec
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Expect, Put
from tests.lab.waiting import eventually

NOW = "2026-01-01T00:00:00Z"
NODES = {name: NodeSpec(id=name, name=f"host-{name}", number=n, address="") for n, name in enumerate(("a", "b"), 1)}
WEB = Instance(name="shop/web-0", service="shop", deploy="web", index=0, revision=3)
ON_A = Binding(instance="shop/web-0", node="a", ip="10.99.1.2", bound_at=NOW)
RUNS = ContainerStatus(name="main", id="1", image="x", state="running")


def status(
    name: str = "shop/web-0",
    node: str = "a",
    *,
    up: bool = True,
    revision: int = 3,
    restart: int = 0,
    generation: int = 0,
) -> InstanceStatus:
    return InstanceStatus(
        instance=name,
        node=node,
        state="running" if up else "stopped",
        containers=(RUNS,) if up else (),
        revision=revision,
        restart=restart,
        generation=generation,
    )


def found(seen: InstanceStatus, wish: Instance | None = WEB, binding: Binding | None = ON_A) -> list[str]:
    instances = {WEB.name: wish} if wish else {}
    bindings = {WEB.name: binding} if binding else {}
    told = differences(instances, bindings, NODES, {seen.node: {seen.instance: seen}})
    return [each.would for each in told]


def test_what_runs_as_it_did_then_is_no_difference() -> None:
    assert found(status()) == []


def test_what_came_later_would_be_removed() -> None:
    assert found(status(), None, None) == ["be removed: it was not there then"]
    assert found(status(), WEB, None) == ["be removed: it was not there then"]


def test_what_does_not_run_has_nothing_to_lose() -> None:
    assert found(status(up=False), None, None) == []


def test_what_has_moved_since_would_be_moved_back() -> None:
    assert found(status(node="b")) == ["be moved to host-a, where it was then"]


def test_another_revision_would_be_made_anew() -> None:
    assert found(status(revision=5)) == ["be made anew by revision 3; it runs 5"]


@pytest.mark.parametrize("since", [status(restart=1), status(generation=1)])
def test_a_restart_since_would_be_followed_by_another(since: InstanceStatus) -> None:
    assert len(found(since)) == 1


def test_a_sidecar_is_its_nodes_own() -> None:
    assert found(status("system/ntp-1"), None, None) == []


class World:
    """A restored cluster of two nodes, whose leader is this manager."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        cluster = Cluster(
            id="c", name="c", url="", network="10.99.0.0/16", ca_fingerprint="", created_at=NOW, held=True
        )
        puts = [Put(keys.CLUSTER, encode(cluster)), Put(keys.INSTANCES + WEB.name, encode(WEB))]
        puts += [Put(keys.NODES + node.id, encode(node)) for node in NODES.values()]
        self.store.commit([*puts, Put(keys.BINDINGS + WEB.name, encode(ON_A))])
        self.mirror = Mirror(self.store, keys.ROOT)
        self.mirror.start()
        self.released: list[str] = []
        self.leads = True
        self.adoption = Adoption(State(self.mirror), self.store, self.term, lambda: self.released.append("once"))
        self.adoption.start()

    def term(self) -> Expect | None:
        return Expect(keys.LEADER, 0) if self.leads else None

    def is_released(self) -> bool:
        return self.released == ["once"] and not self.adoption.held()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.adoption.stop()
    made.mirror.stop()


class Followed:
    def send(self, node_id: str, message: object) -> None: ...

    def followers(self) -> set[str]:
        return {"a", "b"}


def test_nobody_decides_and_nobody_is_told_while_it_is_held(world: World) -> None:
    assert world.adoption.term() is None
    assert Hold(Followed(), world.adoption.held).followers() == set()


def test_it_ends_by_itself_when_all_nodes_run_what_the_backup_says(world: World) -> None:
    world.adoption.hello("a", [status()])
    world.adoption.hello("b", [])
    eventually(world.is_released, timeout=5)
    assert world.adoption.term() is not None
    assert Hold(Followed(), world.adoption.held).followers() == {"a", "b"}


def test_a_node_that_was_not_heard_keeps_it_held(world: World) -> None:
    world.adoption.hello("a", [status()])
    world.adoption.cycle()
    assert world.adoption.held()
    assert world.adoption.unheard() == ["host-b"]


def test_an_instance_that_the_backup_does_not_know_keeps_it_held_until_it_is_gone(world: World) -> None:
    world.adoption.hello("a", [status(), status("late/web-0")])
    world.adoption.hello("b", [])
    world.adoption.cycle()
    assert world.adoption.held()
    world.adoption.report("a", [status("late/web-0", up=False)])
    eventually(world.is_released, timeout=5)


def test_only_the_leader_ends_it(world: World) -> None:
    world.leads = False
    world.adoption.hello("a", [status()])
    world.adoption.hello("b", [])
    world.adoption.cycle()
    assert world.adoption.held()


def test_who_begins_to_lead_when_all_have_been_heard_ends_it_at_once(world: World) -> None:
    world.leads = False
    world.adoption.hello("a", [status()])
    world.adoption.hello("b", [])
    world.adoption.cycle()
    world.leads = True
    world.adoption.wake()
    eventually(world.is_released, timeout=5)


def test_a_persons_word_ends_it(world: World) -> None:
    world.adoption.hello("a", [status(revision=5)])
    world.adoption.adopt()
    eventually(world.is_released, timeout=5)
