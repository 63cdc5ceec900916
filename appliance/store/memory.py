"""A store in memory for tests; fulfils the same contract as etcd."""

import bisect
import threading
from collections.abc import Callable, Iterator, Sequence

from appliance.errors import Conflict, Refused
from appliance.store.limits import check_commit
from appliance.store.store import Changes, Compacted, Delete, Entry, Expect, Listing, Put


class MemoryStore:
    """`clock` counts seconds for leases, which are looked at whenever the store is used."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._entries: dict[str, tuple[Entry, int]] = {}
        self._history: list[tuple[int, tuple[Entry | Delete, ...]]] = []
        self._revision = 1
        self._compacted = 0
        self._leases: dict[int, tuple[int, float]] = {}
        self._next_lease = 1

    def get(self, key: str) -> Entry | None:
        with self._changed:
            self._expire()
            found = self._entries.get(key)
            return None if found is None else found[0]

    def list(self, prefix: str) -> Listing:
        with self._changed:
            self._expire()
            found = (entry for key, (entry, _) in sorted(self._entries.items()) if key.startswith(prefix))
            return Listing(self._revision, tuple(found))

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        check_commit(operations, expect)
        with self._changed:
            self._expire()
            for condition in expect:
                found = self._entries.get(condition.key)
                if (0 if found is None else found[0].revision) != condition.revision:
                    raise Conflict("Somebody else changed it first.", where=condition.key, next="look again and retry")
            unknown = [put.lease for put in operations if isinstance(put, Put) and put.lease not in (0, *self._leases)]
            if unknown:
                raise Refused("The lease of this write has expired.", where=str(unknown[0]))
            return self._apply(operations)

    def watch(self, prefix: str, after: int) -> "MemoryWatch":
        return MemoryWatch(self, prefix, after)

    def grant(self, seconds: int) -> int:
        with self._changed:
            lease = self._next_lease
            self._next_lease += 1
            self._leases[lease] = (seconds, self._clock() + seconds)
            return lease

    def renew(self, lease: int) -> bool:
        with self._changed:
            self._expire()
            if lease not in self._leases:
                return False
            seconds = self._leases[lease][0]
            self._leases[lease] = (seconds, self._clock() + seconds)
            return True

    def revoke(self, lease: int) -> None:
        with self._changed:
            self._drop(lease)

    def close(self) -> None:
        """Nothing is held."""

    def compact(self) -> None:
        """Forget all history up to now, as etcd does from time to time."""
        with self._changed:
            self._compacted = self._revision
            self._history.clear()
            self._changed.notify_all()

    def next_changes(self, prefix: str, after: int, closed: Callable[[], bool]) -> Changes | None:
        """Wait for the first change below `prefix` later than `after`; None once `closed`. Raises Compacted."""
        with self._changed:
            while not closed():
                if after < self._compacted:
                    raise Compacted
                begin = bisect.bisect_right(self._history, after, key=lambda change: change[0])
                for revision, items in self._history[begin:]:
                    matching = tuple(item for item in items if item.key.startswith(prefix))
                    if matching:
                        return Changes(revision, matching)
                self._changed.wait(0.5)
                self._expire()
            return None

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _apply(self, operations: Sequence[Put | Delete]) -> int:
        items: list[Entry | Delete] = []
        revision = self._revision + 1
        for operation in operations:
            if isinstance(operation, Put):
                entry = Entry(operation.key, operation.value, revision)
                self._entries[operation.key] = (entry, operation.lease)
                items.append(entry)
            elif self._entries.pop(operation.key, None) is not None:
                items.append(operation)
        if items:
            self._revision = revision
            self._history.append((revision, tuple(items)))
            self._changed.notify_all()
        return self._revision

    def _expire(self) -> None:
        now = self._clock()
        for lease in [lease for lease, (_, end) in self._leases.items() if end <= now]:
            self._drop(lease)

    def _drop(self, lease: int) -> None:
        if self._leases.pop(lease, None) is not None:
            self._apply([Delete(key) for key, (_, owner) in self._entries.items() if owner == lease])


class MemoryWatch:
    def __init__(self, store: MemoryStore, prefix: str, after: int) -> None:
        self._store = store
        self._prefix = prefix
        self._after = after
        self._closed = False

    def __iter__(self) -> Iterator[Changes]:
        while changes := self._store.next_changes(self._prefix, self._after, lambda: self._closed):
            self._after = changes.revision
            yield changes

    def close(self) -> None:
        self._closed = True
        self._store.wake()
