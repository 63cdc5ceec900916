"""How the store's members are, and what is wrong with it, as etcd tells it and people read it."""

from dataclasses import dataclass
from typing import Literal

AlarmKind = Literal["NOSPACE", "CORRUPT"]


@dataclass(frozen=True)
class MemberState:
    """One member as it is now. `size` of its file and what is `in_use` of that, in bytes; `well`: it answers, and has a
    leader. Of one that does not answer nothing else is known."""

    id: int
    name: str
    well: bool = False
    leads: bool = False
    size: int = 0
    in_use: int = 0


@dataclass(frozen=True)
class Alarm:
    """Until it is disarmed, a NOSPACE of any member makes all of them refuse writes that need room."""

    member: int
    kind: AlarmKind


@dataclass(frozen=True)
class StoreState:
    """All members, by name; `revision` is the newest that one of them has."""

    members: tuple[MemberState, ...]
    alarms: tuple[Alarm, ...]
    revision: int


@dataclass(frozen=True)
class Complaint:
    """`kind` tells which it is, so that it is said once. `next` is what a person can do."""

    kind: str
    what: str
    next: str
