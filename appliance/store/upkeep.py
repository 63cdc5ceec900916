"""What is to be done next so that the store has room, and what people are told of it; decided from what a look found.

Deleted and superseded values stay in the store as history until a compaction, and their room stays in a member's file
until it is defragmented. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.model.store_state import Alarm, Complaint, MemberState, StoreState

ALMOST_FULL = 0.8
"""Part of the quota in use from which people may add nothing new: the rest is for what deleting and running write."""
_TIGHT = 0.98


@dataclass(frozen=True)
class Compact:
    revision: int


@dataclass(frozen=True)
class Defragment:
    member: int


@dataclass(frozen=True)
class Disarm:
    alarm: Alarm


Step = Compact | Defragment | Disarm


def next_step(
    state: StoreState, *, quota: int, compacted: int, defragmented: Mapping[int, int], old: int, quiet: bool
) -> Step | None:
    """One step at a time: look again before the next.

    `quota` in bytes. History before the revision `compacted` is gone, before `old` nobody needs it any more; a member's
    file was `defragmented` at that revision. `quiet`: little is written now.
    """
    if is_pressing(state, quota):
        return _step_to_room(state, quota, compacted, defragmented)
    worn = next((member for member in _bearable(state) if _is_worn(member, quota, alone=len(state.members) == 1)), None)
    if worn is not None and quiet:
        return Defragment(worn.id)
    return Compact(old) if _largest_use(state) >= quota // 2 and old > compacted else None


def _step_to_room(state: StoreState, quota: int, compacted: int, defragmented: Mapping[int, int]) -> Step | None:
    """Once for each revision: what a member says is in use does not fall before something is written again."""
    if state.revision > compacted:
        return Compact(state.revision)
    for member in _bearable(state, pressing=True):
        if defragmented.get(member.id) != state.revision:
            return Defragment(member.id)
    return Disarm(_no_space(state)[0]) if not _is_tight(state, quota) else None


def is_pressing(state: StoreState, quota: int) -> bool:
    """Whether the next write is refused, or will be."""
    return bool(_no_space(state)) or _is_tight(state, quota)


def is_almost_full(state: StoreState, quota: int) -> bool:
    """Whether nothing new is to be accepted."""
    return _largest_use(state) >= ALMOST_FULL * quota or bool(_no_space(state))


def complaints(state: StoreState, quota: int) -> tuple[Complaint, ...]:
    """What is wrong with the members, worst first."""
    names = {member.id: member.name for member in state.members}
    broken = [names.get(alarm.member, "") for alarm in state.alarms if alarm.kind == "CORRUPT"]
    found = [_corrupt(name, alone=len(names) == 1) for name in dict.fromkeys(broken)]
    room = f"{_largest_use(state) // 2**20} of {quota // 2**20} MiB"
    if _no_space(state):
        found.append(Complaint("full", f"The store is full ({room} in use): changes are refused.", _MAKE_ROOM))
    elif is_almost_full(state, quota):
        found.append(Complaint("almost full", f"The store is almost full ({room}): nothing new is taken.", _MAKE_ROOM))
    return tuple(found)


_MAKE_ROOM = "delete services and secrets that are not needed; the rest happens by itself within a minute"


def _corrupt(name: str, *, alone: bool) -> Complaint:
    again = "take that manager out and let it join again: appliance node rm, then join --role manager"
    restore = "restore the newest backup: appliance backup restore"
    return Complaint(f"corrupt {name}", f"The data of etcd's member {name} are damaged.", restore if alone else again)


def _bearable(state: StoreState, *, pressing: bool = False) -> list[MemberState]:
    """Members whose silence can be borne now, leaders last: that of the only one, else of one while all others are
    well. A full store takes no writes anyhow: then it is enough that another one is."""
    found = []
    for member in sorted(state.members, key=lambda each: (each.leads, each.name)):
        others = [other.well for other in state.members if other.id != member.id]
        if member.well and (all(others) or (pressing and any(others))):
            found.append(member)
    return found


def _is_worn(member: MemberState, quota: int, *, alone: bool) -> bool:
    """Whether it would gain much. The only member blocks everybody meanwhile, so it has to be worth more."""
    gain = member.size - member.in_use if member.in_use else 0
    return gain >= max(quota // 4 if alone else quota // 16, member.size // 2)


def _no_space(state: StoreState) -> list[Alarm]:
    return [alarm for alarm in state.alarms if alarm.kind == "NOSPACE"]


def _is_tight(state: StoreState, quota: int) -> bool:
    return any(member.size >= _TIGHT * quota for member in state.members)


def _largest_use(state: StoreState) -> int:
    return max((member.in_use for member in state.members), default=0)
