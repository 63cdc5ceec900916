"""An empty store is filled from a backup, and counts as empty until it is full."""

from collections.abc import Sequence

import pytest

from appliance.delivery.refill import refill
from appliance.errors import StoreUnavailable
from appliance.store import keys
from appliance.store.memory import MemoryStore
from appliance.store.store import Delete, Expect, Put

ENTRIES = {keys.CLUSTER: b"{}"} | {f"{keys.SERVICES}{n:04d}": b"x" * (n * 300) for n in range(1000)}


class Killed(MemoryStore):
    """Takes so many commits, then no more."""

    def __init__(self, commits: int) -> None:
        super().__init__(lambda: 0.0)
        self.left = commits

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        if not self.left:
            raise StoreUnavailable("Killed.")
        self.left -= 1
        return super().commit(operations, expect)


def test_everything_arrives() -> None:
    store = MemoryStore(lambda: 0.0)
    refill(store, ENTRIES)
    assert {entry.key: entry.value for entry in store.list(keys.ROOT).entries} == ENTRIES


@pytest.mark.parametrize("commits", [0, 1, 5])
def test_after_a_kill_on_the_way_it_is_filled_from_the_start(commits: int) -> None:
    store = Killed(commits)
    with pytest.raises(StoreUnavailable):
        refill(store, ENTRIES)
    assert store.get(keys.CLUSTER) is None
    store.left = 1_000_000
    refill(store, ENTRIES)
    assert len(store.list(keys.ROOT).entries) == len(ENTRIES)
