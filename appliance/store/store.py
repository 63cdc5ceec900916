"""Where state lives: the interface that etcd and the in-memory store both fulfil.

Keys are strings, values bytes. Every change of the store raises its revision by one; an entry's `revision` is that
of its last change. A commit is all or nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All entries below a prefix as of `revision`, in key order."""

    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """`lease` is an id from `grant`, or 0 for a key that stays."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    key: str


@dataclass(frozen=True, slots=True)
class Expect:
    """A condition of a commit: the entry's revision is exactly this; 0 means that the key does not exist."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that changed up to and including `revision`, oldest first. An empty one is a progress notice."""

    revision: int
    items: tuple["Entry | Delete", ...] = field(default=())


MOST_OPERATIONS = 128
"""Operations and expectations allowed in one commit (etcd's own limit)."""

LARGEST_VALUE = 1_000_000
"""Bytes allowed in one value (etcd refuses requests above 1.5 MiB)."""


class Watch(Protocol):
    """An endless stream of changes; ends when closed from another thread.

    Iterating raises `Compacted` when changes were lost for good: list again and watch from there. A lost connection
    is not an error: the watch goes on where it was, with every change delivered exactly once.
    """

    def __iter__(self) -> Iterator[Changes]: ...

    def close(self) -> None: ...


class Compacted(Exception):
    """The revision asked for is no longer kept."""


class Store(Protocol):
    """Every call may raise StoreUnavailable (retryable); then a commit may or may not have happened."""

    def get(self, key: str) -> Entry | None: ...

    def list(self, prefix: str) -> Listing: ...

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        """Do all of it, or raise Conflict and do nothing. Returns the revision that the commit made.

        Raises Refused for more than MOST_OPERATIONS or a value larger than LARGEST_VALUE.
        """
        ...

    def watch(self, prefix: str, after: int) -> Watch:
        """Changes below `prefix` with a revision greater than `after`."""
        ...

    def grant(self, seconds: int) -> int:
        """A lease: keys put with it vanish `seconds` after its last renewal."""
        ...

    def renew(self, lease: int) -> bool:
        """False when the lease has expired (its keys are gone)."""
        ...

    def revoke(self, lease: int) -> None:
        """End a lease now; its keys vanish. An unknown lease is no error."""
        ...

    def close(self) -> None: ...
