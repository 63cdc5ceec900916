"""What is done next for the store's room, and what people are told, from made-up states of its members."""

from collections.abc import Mapping
from types import MappingProxyType

from appliance.model.store_state import Alarm, AlarmKind, MemberState, StoreState
from appliance.store.upkeep import Compact, Defragment, Disarm, Step, complaints, is_almost_full, next_step

MIB = 2**20
QUOTA = 2048 * MIB


def member(number: int, size: int = 10, in_use: int = 10, *, well: bool = True, leads: bool = False) -> MemberState:
    return MemberState(number, f"m{number}", well=well, leads=leads, size=size * MIB, in_use=in_use * MIB)


def state(*members: MemberState, alarm: AlarmKind | None = None, revision: int = 1000) -> StoreState:
    return StoreState(members, () if alarm is None else (Alarm(members[0].id, alarm),), revision)


def step(
    seen: StoreState,
    *,
    compacted: int = 0,
    defragmented: Mapping[int, int] = MappingProxyType({}),
    old: int = 0,
    quiet: bool = True,
) -> Step | None:
    return next_step(seen, quota=QUOTA, compacted=compacted, defragmented=defragmented, old=old, quiet=quiet)


def worn(number: int, *, leads: bool = False) -> MemberState:
    return member(number, 900, 100, leads=leads)


def test_nothing_is_done_while_there_is_room() -> None:
    assert step(state(member(1, 300, 200), member(2, 300, 200), member(3, 300, 200)), old=900) is None


def test_a_member_whose_file_is_mostly_empty_is_defragmented_the_leader_last() -> None:
    members = [worn(1, leads=True), worn(2), member(3)]
    assert step(state(*members)) == Defragment(2)
    assert step(state(members[0], member(2), member(3))) == Defragment(1)


def test_no_member_is_defragmented_while_another_is_away() -> None:
    assert step(state(worn(1), member(2), member(3, well=False))) is None


def test_no_member_is_defragmented_while_much_is_written() -> None:
    assert step(state(worn(1), member(2), member(3)), quiet=False) is None


def test_the_only_member_is_defragmented_only_when_it_gains_much() -> None:
    assert step(state(member(1, 400, 100))) is None
    assert step(state(member(1, 700, 100))) == Defragment(1)


def test_a_size_in_use_that_is_not_known_is_no_reason() -> None:
    assert step(state(member(1, 2000, 0))) is None


def test_history_that_nobody_needs_goes_early_when_half_of_the_room_is_in_use() -> None:
    assert step(state(member(1, 1100, 1100)), old=900) == Compact(900)
    assert step(state(member(1, 1100, 1100)), old=900, compacted=900) is None


def test_a_full_store_is_compacted_then_defragmented_then_takes_writes_again() -> None:
    full = state(member(1, 2048, 2040), alarm="NOSPACE")
    assert step(full, quiet=False) == Compact(1000)
    assert step(full, compacted=1000, quiet=False) == Defragment(1)
    assert step(full, compacted=1000, defragmented={1: 1000}) is None, "all of it is needed"
    assert step(full, compacted=1000, defragmented={1: 900}) == Defragment(1), "something was deleted since"
    roomy = state(member(1, 700, 700), alarm="NOSPACE")
    assert step(roomy, compacted=1000, defragmented={1: 1000}) == Disarm(Alarm(1, "NOSPACE"))


def test_a_full_store_is_defragmented_though_a_member_is_away_but_never_its_last_one() -> None:
    large, away = member(1, 2048, 700), member(3, well=False)
    assert step(state(large, member(2), away, alarm="NOSPACE"), compacted=1000) == Defragment(1)
    alone = state(large, member(2, well=False), away, alarm="NOSPACE")
    assert step(alone, compacted=1000) is None


def test_damaged_data_are_never_disarmed_and_said_with_a_way_out() -> None:
    alone, several = state(member(1), alarm="CORRUPT"), state(member(1), member(2), member(3), alarm="CORRUPT")
    assert step(alone) is None
    assert [each.kind for each in complaints(alone, QUOTA)] == ["corrupt m1"]
    assert "backup" in complaints(alone, QUOTA)[0].next
    assert "join" in complaints(several, QUOTA)[0].next


def test_a_store_is_almost_full_before_etcd_refuses() -> None:
    filling = state(member(1, 1700, 1700))
    assert is_almost_full(filling, QUOTA) and not is_almost_full(state(member(1, 1700, 1500)), QUOTA)
    assert complaints(filling, QUOTA)[0].what == "The store is almost full (1700 of 2048 MiB): nothing new is taken."
    assert [each.kind for each in complaints(state(member(1), alarm="NOSPACE"), QUOTA)] == ["full"]
