"""Members of a store that are made of numbers, for tests of what looks after them."""

from collections.abc import Sequence

from appliance.model.store_state import Alarm, MemberState, StoreState


class MemoryMaintenance:
    """Room that is free comes back with a defragmentation, history of `history` bytes with a compaction.

    `done` tells what was asked for, in order.
    """

    def __init__(self, members: Sequence[MemberState] = (), alarms: Sequence[Alarm] = (), history: int = 0) -> None:
        self.members = {member.id: member for member in members}
        self.alarms = list(alarms)
        self.revision = 1
        self.history = history
        self.done: list[str] = []

    def look(self) -> StoreState:
        return StoreState(tuple(self.members.values()), tuple(self.alarms), self.revision)

    def compact(self, revision: int) -> None:
        self.done.append(f"compact {revision}")
        for member in self.members.values():
            self._become(member, size=member.size, in_use=member.in_use - self.history)
        self.history = 0

    def defragment(self, member: int) -> None:
        found = self.members[member]
        self.done.append(f"defragment {found.name}")
        self._become(found, size=found.in_use, in_use=found.in_use)

    def disarm(self, alarm: Alarm) -> None:
        self.done.append(f"disarm {alarm.kind}")
        self.alarms.remove(alarm)

    def _become(self, member: MemberState, *, size: int, in_use: int) -> None:
        self.members[member.id] = MemberState(
            member.id, member.name, well=member.well, leads=member.leads, size=size, in_use=in_use
        )
