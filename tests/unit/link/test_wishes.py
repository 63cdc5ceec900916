"""What people asked on a node becomes what is wanted, once, unless managers wanted something else meanwhile."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from appliance.link.messages import Wishes
from appliance.link.wishes import WishMerge, after_wish
from appliance.model.service import ServiceHead
from appliance.model.wish import Known, LocalWish
from tests.unit.link.cluster_in_memory import NOW, ClusterInMemory

RUNNING = Known(desired="running", restart=0, generation=0)
STOP = LocalWish(
    instance="s/web-0", number=3, action="stop", at=NOW, who="li", desired="stopped", restart=0, known=RUNNING
)
START = msgspec.structs.replace(
    STOP, action="start", desired="running", known=msgspec.structs.replace(RUNNING, desired="stopped")
)
RESTART = msgspec.structs.replace(STOP, action="restart", desired="running", restart=1)
HEAD = ServiceHead(service="s", revision=1)


def changed(head: ServiceHead, **fields: Any) -> ServiceHead:
    return msgspec.structs.replace(head, **fields)


@pytest.mark.parametrize(
    ("meanwhile", "wish", "stopped", "restarts"),
    [
        (HEAD, STOP, ("s/web-0",), {}),
        (changed(HEAD, stopped=("s/web-0", "s/web-1")), START, ("s/web-1",), {}),
        (HEAD, RESTART, (), {"s/web-0": 1}),
        (changed(HEAD, revision=2, paused=True), STOP, ("s/web-0",), {}),
        (changed(HEAD, restarts={"s/web-0": 1}), RESTART, (), {"s/web-0": 1}),
        (changed(HEAD, stopped=("s/web-0",)), STOP, ("s/web-0",), {}),
    ],
    ids=["stop", "start", "restart", "another revision is no matter", "both restarted it", "both stopped it"],
)
def test_a_wish_is_followed(
    meanwhile: ServiceHead, wish: LocalWish, stopped: tuple[str, ...], restarts: dict[str, int]
) -> None:
    after = after_wish(meanwhile, wish, "n1")
    assert (after.stopped, after.restarts, after.heard["s/web-0"].why) == (stopped, restarts, "")


@pytest.mark.parametrize(
    ("meanwhile", "wish", "why"),
    [
        (changed(HEAD, generation=1), STOP, "asked to restart it"),
        (changed(HEAD, restarts={"s/web-0": 1}), STOP, "asked to restart it"),
        (changed(HEAD, stopped=("s/web-0",)), RESTART, "stopped on a manager"),
        (changed(HEAD, halted=True), START, "stopped as a whole"),
    ],
)
def test_a_manager_that_wanted_something_else_meanwhile_wins(meanwhile: ServiceHead, wish: LocalWish, why: str) -> None:
    after = after_wish(meanwhile, wish, "n1")
    assert why in after.heard["s/web-0"].why
    assert (after.stopped, after.halted) == (meanwhile.stopped, meanwhile.halted)


def test_a_restart_that_the_node_did_is_never_done_again() -> None:
    after = after_wish(changed(HEAD, stopped=("s/web-0",)), RESTART, "n1")
    assert after.restarts == {"s/web-0": 1}


class House:
    def __init__(self) -> None:
        self.cluster = ClusterInMemory(nodes=2)
        self.cluster.bind("s/web-0", "n1")
        self.cluster.commit(self.cluster.state.services.put("s", HEAD))
        self.merge = WishMerge(self.cluster.state, self.cluster.store)

    def tell(self, node: str, *wishes: LocalWish) -> float | None:
        self.merge.heard(node, Wishes(wishes=wishes))
        return self.merge.cycle()

    @property
    def head(self) -> ServiceHead:
        head = self.cluster.state.services.get("s")
        assert head
        return head


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.cluster.mirror.stop()


def test_a_wish_that_is_told_again_is_taken_in_once(house: House) -> None:
    assert house.tell("n1", STOP) is None
    assert house.head.stopped == ("s/web-0",)
    house.cluster.commit(house.cluster.state.services.put("s", changed(house.head, stopped=())))
    house.tell("n1", STOP)
    assert not house.head.stopped


def test_a_node_has_no_say_in_the_instances_of_others(house: House) -> None:
    assert house.tell("n2", STOP) is None
    assert house.head == HEAD


def test_what_somebody_changes_this_moment_is_looked_at_again(house: House) -> None:
    state = house.cluster.state
    house.cluster.store.before = lambda: house.cluster.store.commit(
        [state.services.put("s", changed(HEAD, generation=1))]
    )
    assert house.tell("n1", STOP) is not None
    assert house.cluster.mirror.wait_for(house.cluster.store.list("").revision, 5)
    assert house.merge.cycle() is None
    assert "asked to restart it" in house.head.heard["s/web-0"].why


def test_a_node_that_has_gone_is_forgotten(house: House) -> None:
    house.merge.heard("n1", Wishes(wishes=(STOP,)))
    house.merge.gone("n1")
    house.merge.cycle()
    assert house.head == HEAD
