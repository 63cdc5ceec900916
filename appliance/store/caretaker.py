"""Keeps the store small and sound, and knows what is wrong with it.

Every manager looks, so that each can tell people; only the leading one does anything.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from appliance.errors import StoreUnavailable
from appliance.loop import Loop
from appliance.model.store_state import Complaint, StoreState
from appliance.store import keys
from appliance.store.disk import DiskState, disk_complaints
from appliance.store.maintenance import Maintenance
from appliance.store.store import Expect, Put, Store
from appliance.store.upkeep import Compact, Defragment, Disarm, Step, complaints, is_almost_full, is_pressing, next_step

LOOK_AGAIN = 60.0
"""Seconds between two looks."""
SOON = 5.0
"""The same while there is no room."""
OLD = 300.0
"""Seconds after which nobody asks for what was before; while there is no room, SOON has to do."""
_QUIET = 20.0
"""Changes a second; below that a member may be silent for a while."""
_MOST_STEPS = 20


class Disk(Protocol):
    def look(self) -> DiskState:
        """Raises OSError."""
        ...


class Caretaker:
    """A component. `term` is not None while this manager leads; `quota` in bytes; `clock` in seconds, never set back.

    `tell` gets a sentence, and whether it is a warning, when something goes wrong and when that is over.
    """

    name = "store-care"

    def __init__(
        self,
        store: Store,
        maintenance: Maintenance,
        disk: Disk,
        quota: int,
        term: Callable[[], Expect | None],
        tell: Callable[[str, bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.quota = quota
        self._store = store
        self._maintenance = maintenance
        self._disk = disk
        self._term = term
        self._tell = tell
        self._clock = clock
        self._state: StoreState | None = None
        self._disk_seen: DiskState | None = None
        self._of_members: tuple[Complaint, ...] = ()
        self._of_disk: tuple[Complaint, ...] = ()
        self._revisions: deque[tuple[float, int]] = deque(maxlen=int(OLD / SOON) + 2)
        self._compacted = 0
        self._defragmented: dict[int, int] = {}
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN, longest_backoff=SOON)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Look now; call it when this manager begins to lead."""
        self._loop.wake()

    @property
    def state(self) -> StoreState | None:
        """As the last look found it; None before the first."""
        return self._state

    @property
    def full(self) -> bool:
        """Whether nothing new is to be accepted."""
        return self._state is not None and is_almost_full(self._state, self.quota)

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """What is wrong now, worst first."""
        return (*self._of_members, *self._of_disk)

    def refusal(self) -> StoreUnavailable:
        """What somebody hears who adds something while it is full."""
        full = next(each for each in self._of_members if each.kind in ("full", "almost full"))
        return StoreUnavailable(full.what, where="etcd", next=full.next, page="etcd")

    def explained(self, error: StoreUnavailable) -> StoreUnavailable:
        """The error, with a full disk as its reason where that is it."""
        full = [each for each in disk_complaints(None, self._disk.look()) if each.kind == "disk full"]
        if not full:
            return error
        return StoreUnavailable(error.what, where=error.where, why=full[0].what, next=full[0].next, page="etcd")

    def cycle(self) -> float | None:
        """Raises StoreUnavailable, Conflict (somebody else leads now), OSError."""
        self._look_at_disk()
        state = self._look()
        for _ in range(_MOST_STEPS):
            step = self._next_step(state)
            term = self._term()
            if step is None or term is None:
                break
            self._do(step, state, term)
            state = self._look()
        self._revisions.append((self._clock(), state.revision))
        return SOON if self.full else None

    def _look_at_disk(self) -> None:
        seen = self._disk.look()
        of_disk = disk_complaints(self._disk_seen, seen)
        self._disk_seen = seen
        self._say(of_disk, self._of_disk)
        self._of_disk = of_disk

    def _look(self) -> StoreState:
        state = self._maintenance.look()
        of_members = complaints(state, self.quota)
        self._say(of_members, self._of_members)
        self._state, self._of_members = state, of_members
        return state

    def _next_step(self, state: StoreState) -> Step | None:
        now = self._clock()
        age = SOON if self.full else OLD
        old = max((revision for at, revision in self._revisions if at <= now - age), default=0)
        at, revision = self._revisions[-1] if self._revisions else (now, state.revision)
        quiet = state.revision - revision <= _QUIET * (now - at)
        return next_step(
            state,
            quota=self.quota,
            compacted=self._compacted,
            defragmented=self._defragmented,
            old=old,
            quiet=quiet,
        )

    def _do(self, step: Step, state: StoreState, term: Expect) -> None:
        match step:
            case Compact():
                self._maintenance.compact(step.revision)
                self._compacted = step.revision
                if not is_pressing(state, self.quota):
                    # A member does not count what was in use as free before something else is written.
                    self._store.commit([Put(keys.COMPACTED, str(step.revision).encode())], [term])
            case Defragment():
                self._maintenance.defragment(step.member)
                self._defragmented[step.member] = state.revision
            case Disarm():
                self._maintenance.disarm(step.alarm)

    def _say(self, now: tuple[Complaint, ...], before: tuple[Complaint, ...]) -> None:
        known, wrong = {each.kind for each in before}, {each.kind for each in now}
        for each in now:
            if each.kind not in known:
                self._tell(f"{each.what} To do: {each.next}.", True)
        for each in before:
            if each.kind not in wrong:
                self._tell(f"no longer: {each.what}", False)
