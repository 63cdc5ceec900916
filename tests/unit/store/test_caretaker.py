"""Who looks after the store, what is done in which order, and what people hear of it."""

import pytest

from appliance.errors import StoreUnavailable
from appliance.model.store_state import Alarm, MemberState
from appliance.store import keys
from appliance.store.caretaker import LOOK_AGAIN, OLD, SOON, Caretaker
from appliance.store.disk import LITTLE, DiskState
from appliance.store.memory import MemoryStore
from appliance.store.memory_maintenance import MemoryMaintenance
from appliance.store.store import Expect, Put

MIB = 2**20
QUOTA = 100 * MIB


def member(number: int, size: int, in_use: int) -> MemberState:
    return MemberState(number, f"m{number}", well=True, leads=number == 1, size=size * MIB, in_use=in_use * MIB)


class MadeUpDisk:
    def __init__(self) -> None:
        self.free = 10 * LITTLE

    def look(self) -> DiskState:
        return DiskState(self.free, {})


class World:
    def __init__(self, *members: MemberState, alarm: bool = False, history: int = 0, leads: bool = True) -> None:
        alarms = [Alarm(members[0].id, "NOSPACE")] if alarm else []
        self.maintenance = MemoryMaintenance(members, alarms, history * MIB)
        self.disk = MadeUpDisk()
        self.said: list[tuple[str, bool]] = []
        self.now = 0.0
        store = MemoryStore(lambda: 0.0)
        leading = Expect(keys.LEADER, store.commit([Put(keys.LEADER, b"n1")]))
        self.caretaker = Caretaker(
            store,
            self.maintenance,
            self.disk,
            QUOTA,
            lambda: leading if leads else None,
            lambda text, warns: self.said.append((text, warns)),
            lambda: self.now,
        )


def test_worn_members_are_defragmented_one_after_the_other() -> None:
    world = World(member(1, 60, 10), member(2, 60, 10), member(3, 60, 10))
    world.caretaker.cycle()
    assert world.maintenance.done == ["defragment m2", "defragment m3", "defragment m1"]
    assert world.said == []


def test_a_manager_that_does_not_lead_only_looks() -> None:
    world = World(member(1, 100, 99), alarm=True, leads=False)
    assert world.caretaker.cycle() == SOON
    assert world.maintenance.done == []
    assert world.caretaker.complaints[0].kind == "full"


def test_a_store_full_of_history_recovers_in_one_cycle_and_both_is_said() -> None:
    world = World(member(1, 100, 99), alarm=True, history=80)
    assert world.caretaker.cycle() is None
    assert world.maintenance.done == ["compact 1", "defragment m1", "disarm NOSPACE"]
    assert [warns for _, warns in world.said] == [True, False]
    assert not world.caretaker.full and world.caretaker.complaints == ()


def test_a_store_full_of_what_is_needed_is_looked_at_soon_again_until_there_is_room() -> None:
    world = World(member(1, 100, 99), alarm=True)
    assert world.caretaker.cycle() == SOON and world.caretaker.full
    world.maintenance.members[1], world.maintenance.revision = member(1, 100, 40), 2  # somebody deleted
    world.caretaker.cycle()
    assert world.maintenance.alarms == [] and not world.caretaker.full


def test_only_history_older_than_anybody_asks_for_is_compacted_early() -> None:
    world = World(member(1, 60, 60), history=0)
    world.caretaker.cycle()
    world.maintenance.revision = 500
    world.now += LOOK_AGAIN
    world.caretaker.cycle()
    assert world.maintenance.done == []
    world.now += OLD
    world.caretaker.cycle()
    assert world.maintenance.done == ["compact 500"]


def test_no_member_is_silenced_while_much_is_written() -> None:
    world = World(member(1, 10, 10), member(2, 10, 10), member(3, 10, 10))
    world.caretaker.cycle()
    world.maintenance.members = {each.id: each for each in (member(1, 60, 10), member(2, 60, 10), member(3, 60, 10))}
    world.maintenance.revision = 1_000_000
    world.now += LOOK_AGAIN
    world.caretaker.cycle()
    assert world.maintenance.done == []


def test_a_full_disk_is_what_a_store_is_said_to_be_unavailable_for() -> None:
    world = World(member(1, 10, 10))
    error = StoreUnavailable("The store cannot be reached.", why="UNAVAILABLE")
    assert world.caretaker.explained(error) is error
    world.disk.free = 0
    explained = world.caretaker.explained(error)
    assert explained.what == error.what and "0 MiB left" in explained.why


@pytest.mark.parametrize(("in_use", "full"), [(79, False), (81, True)])
def test_nothing_new_is_accepted_from_four_fifths_of_the_quota_on(in_use: int, full: bool) -> None:
    world = World(member(1, 90, in_use))
    world.caretaker.cycle()
    assert world.caretaker.full is full
