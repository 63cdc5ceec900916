"""The in-memory copy of the store that all reads of a manager come from; listed once, then kept fresh by a watch."""

import logging
import random
import threading
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from appliance.errors import ApplianceError
from appliance.store.store import Changes, Compacted, Entry, Store, Watch

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_REMEMBERED = 20_000
"""Changes that `changed_since` can tell of."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """One key's value before and after; None where it did not exist."""

    key: str
    old: Entry | None
    new: Entry | None


class Mirror:
    """A component, and the `Copy` of `state.py`. `start` returns once the copy is complete for the first time."""

    name = "mirror"

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._changed = threading.Condition()
        self._entries: dict[str, Entry] = {}
        self._keys: list[str] = []
        self._revision = 0
        self._heard = time.monotonic()
        self._subscribers: list[tuple[str, Callable[[], None]]] = []
        self._touched: deque[tuple[int, str]] = deque(maxlen=_REMEMBERED)
        self._remembered_since = 0
        self._observers: list[Callable[[Sequence[Alteration]], None]] = []
        self._watch: Watch | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def heard(self) -> float:
        """When the store said something last, by `time.monotonic`; etcd does so every PROGRESS seconds."""
        return self._heard

    def start(self) -> None:
        """Raises StoreUnavailable when the store cannot be listed now."""
        self._stopping.clear()
        self._relist()
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping.set()
            watch = self._watch
        if watch is not None:
            watch.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def get(self, key: str) -> Entry | None:
        with self._changed:
            return self._entries.get(key)

    def below(self, prefix: str) -> list[Entry]:
        with self._changed:
            begin = bisect_left(self._keys, prefix)
            end = bisect_left(self._keys, prefix + "\U0010ffff")
            return [self._entries[key] for key in self._keys[begin:end]]

    def wait_for(self, revision: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._revision >= revision, timeout)

    def changed_since(self, revision: int) -> frozenset[str] | None:
        with self._changed:
            if revision < self._remembered_since:
                return None
            later = takewhile(lambda each: each[0] > revision, reversed(self._touched))
            return frozenset(key for _, key in later)

    def subscribe(self, prefix: str, callback: Callable[[], None]) -> Callable[[], None]:
        subscription = (prefix, callback)
        with self._changed:
            self._subscribers.append(subscription)

        def end() -> None:
            with self._changed, suppress(ValueError):
                self._subscribers.remove(subscription)

        return end

    def observe(self, callback: Callable[[Sequence[Alteration]], None]) -> None:
        """Call back (from the mirror's thread; must be quick) with all that changed after `start`, in order.

        Of several changes while the connection was lost only the outcome is seen.
        """
        with self._changed:
            self._observers.append(callback)

    def _follow(self) -> None:
        pause = _FIRST_PAUSE
        stale = False
        while not self._stopping.is_set():
            try:
                if stale:
                    self._relist()
                    stale = False
                    log.info("mirror: listed again at revision %d", self._revision)
                for changes in self._open_watch():
                    self._take(changes)
                    pause = _FIRST_PAUSE
            except Compacted:
                stale = True
            except Exception as error:
                log.warning("mirror: %s; listing again", error, exc_info=not isinstance(error, ApplianceError))
                stale = True
                self._stopping.wait(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _open_watch(self) -> Watch:
        watch = self._store.watch(self._prefix, self._revision)
        with self._changed:
            self._watch = watch
            stopping = self._stopping.is_set()
        if stopping:
            watch.close()
        return watch

    def _relist(self) -> None:
        listing = self._store.list(self._prefix)
        fresh = {entry.key: entry for entry in listing.entries}
        with self._changed:
            touched = {key for key in self._entries.keys() | fresh.keys() if self._entries.get(key) != fresh.get(key)}
            altered = [Alteration(key, self._entries.get(key), fresh.get(key)) for key in sorted(touched)]
            self._entries = fresh
            self._keys = sorted(fresh)
            self._revision = self._remembered_since = listing.revision
            self._heard = time.monotonic()
            self._touched.clear()
            self._changed.notify_all()
        self._tell(altered)

    def _take(self, changes: Changes) -> None:
        altered = []
        with self._changed:
            for item in changes.items:
                known = item.key in self._entries
                new = item if isinstance(item, Entry) else None
                altered.append(Alteration(item.key, self._entries.get(item.key), new))
                if isinstance(item, Entry):
                    self._entries[item.key] = item
                    if not known:
                        insort(self._keys, item.key)
                elif known:
                    del self._entries[item.key]
                    del self._keys[bisect_left(self._keys, item.key)]
            self._revision = max(self._revision, changes.revision)
            self._heard = time.monotonic()
            self._remember(item.key for item in changes.items)
            self._changed.notify_all()
        self._tell(altered)

    def _remember(self, touched: Iterable[str]) -> None:
        for key in touched:
            if len(self._touched) == _REMEMBERED:
                self._remembered_since = self._touched[0][0]
            self._touched.append((self._revision, key))

    def _tell(self, altered: Sequence[Alteration]) -> None:
        with self._changed:
            subscribers, observers = list(self._subscribers), list(self._observers)
        for observer in observers:
            observer(altered)
        touched = {each.key for each in altered}
        for prefix, callback in subscribers:
            if any(key.startswith(prefix) for key in touched):
                callback()
