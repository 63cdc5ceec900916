"""Commits of a leader, over a store in memory."""

import weakref
from collections.abc import Iterator

import msgspec
import pytest

from appliance.errors import Conflict
from appliance.model.service import Autoscaled
from appliance.store import keys
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import Change, State, Table, commit_as_leader
from appliance.store.store import MOST_OPERATIONS, Expect, Put


class Led:
    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.term = Expect(keys.LEADER, self.store.commit([Put(keys.LEADER, b"m")]))
        self.mirror = Mirror(self.store, keys.ROOT)
        self.mirror.start()

    def commit(self, changes: list[Change], *, independent: bool) -> None:
        commit_as_leader(self.store, self.mirror, self.term, changes, independent=independent)

    def written(self) -> int:
        return len(self.store.list(keys.INSTANCES).entries)


@pytest.fixture
def led() -> Iterator[Led]:
    made = Led()
    yield made
    made.mirror.stop()


def puts(count: int, *, conflicting: int = -1) -> list[Change]:
    """One of them expects what is not so."""
    names = [f"{keys.INSTANCES}s/web-{index}" for index in range(count)]
    return [
        Change((Put(name, b""),), (Expect(name, 7 if place == conflicting else 0),)) for place, name in enumerate(names)
    ]


@pytest.mark.parametrize("independent", [True, False])
def test_all_changes_are_committed_in_few_batches_and_seen(led: Led, independent: bool) -> None:
    before = led.store.list(keys.ROOT).revision
    led.commit(puts(1000), independent=independent)
    assert len(led.mirror.below(keys.INSTANCES)) == led.written() == 1000
    assert led.store.list(keys.ROOT).revision - before == 1 + 1000 // (MOST_OPERATIONS - 1)


def test_nothing_is_done_after_a_conflict(led: Led) -> None:
    with pytest.raises(Conflict):
        led.commit(puts(1000, conflicting=300), independent=False)
    assert led.written() == 2 * (MOST_OPERATIONS - 1)


def test_a_conflict_leaves_independent_batches_be(led: Led) -> None:
    with pytest.raises(Conflict):
        led.commit(puts(1000, conflicting=300), independent=True)
    assert led.written() == 1000 - (MOST_OPERATIONS - 1)


@pytest.mark.parametrize("independent", [True, False])
def test_who_no_longer_leads_writes_nothing(led: Led, independent: bool) -> None:
    led.store.commit([Put(keys.LEADER, b"other")])
    with pytest.raises(Conflict):
        led.commit(puts(1000), independent=independent)
    assert led.written() == 0


def test_a_condition_on_what_was_read_holds_until_another_value_is_seen(led: Led) -> None:
    state = State(led.mirror)

    def write(value: Autoscaled, *expect: Expect) -> None:
        led.mirror.wait_for(led.store.commit([state.autoscale.put("s/web", value)], expect), 5)

    two, three = (Autoscaled(service="s", deploy="web", replicas=n, reason="", at="") for n in (2, 3))
    write(two, state.autoscale.still("s/web", None))
    read = state.autoscale.get("s/web")
    write(three, state.autoscale.still("s/web", read))
    for value in (read, None):
        with pytest.raises(Conflict):
            led.store.commit([state.autoscale.put("s/web", two)], [state.autoscale.still("s/web", value)])
    write(two, state.autoscale.still("s/web", three))


class Run(msgspec.Struct, frozen=True, weakref=True):
    number: int


def test_what_is_gone_from_the_store_does_not_stay_in_memory(led: Led) -> None:
    """Names that never come again, as those of a job's runs, in a table of which nobody reads everything."""
    runs, read = Table(led.mirror, keys.RUNS, Run), list[weakref.ref[Run]]()
    for number in range(1000):
        name = f"s/nightly/{number:08d}"
        led.mirror.wait_for(led.store.commit([runs.put(name, Run(number))]), 5)
        found = runs.get(name)
        assert found
        read.append(weakref.ref(found))
        led.mirror.wait_for(led.store.commit([runs.delete(name)]), 5)
    assert sum(each() is not None for each in read) < 100
