"""Whose turn it is: one thread keeps the time, a few work, and an instance is never worked on by two."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from appliance.errors import ApplianceError

log = logging.getLogger(__name__)

WORKERS = 4
WAITERS = 64
"""At the same time; they mostly wait for a container's own grace, or for a command in it to end."""
_AGAIN = 1.0
"""Seconds after a turn that failed."""


class Turns:
    """A component. `work` returns the seconds after which the instance has its next turn, None : when woken.

    `waits` says whether the coming turn will mostly wait. `failed` is told of a turn that raised. Nobody has a turn
    before `open`.
    """

    name = "turns"

    def __init__(
        self,
        work: Callable[[str], float | None],
        waits: Callable[[str], bool],
        failed: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._work = work
        self._waits = waits
        self._failed = failed
        self._clock = clock
        self._change = threading.Condition()
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._open = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._workers = ThreadPoolExecutor(WORKERS, "instance")
        self._waiters = ThreadPoolExecutor(WAITERS, "stop")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._dispatch, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What is being done to an instance may go on in the engine."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(5.0)
            self._thread = None
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._waiters.shutdown(wait=False, cancel_futures=True)

    def open(self) -> None:
        with self._change:
            self._open = True
            self._change.notify_all()

    def later(self, instance: str, seconds: float) -> None:
        """Its next turn is in so many seconds at the latest."""
        at = self._clock() + seconds
        with self._change:
            self._due[instance] = min(at, self._due.get(instance, at))
            self._change.notify_all()

    def _dispatch(self) -> None:
        with self._change:
            while not self._stopping:
                now = self._clock()
                free = {n: at for n, at in self._due.items() if n not in self._busy} if self._open else {}
                for name in [name for name, at in free.items() if at <= now]:
                    del self._due[name], free[name]
                    self._busy.add(name)
                    self._workers.submit(self._turn, name)
                self._change.wait(min((at - now for at in free.values()), default=None))

    def _turn(self, instance: str, *, may_wait: bool = False) -> None:
        pause: float | None = None
        try:
            if not may_wait and self._waits(instance):
                self._waiters.submit(self._turn, instance, may_wait=True)
                return
            pause = self._work(instance)
        except Exception as error:  # the edge of the loop: one instance must not take others down
            pause = _AGAIN
            self._failed(instance)
            log.warning("%s: %s; trying again", instance, error, exc_info=not isinstance(error, ApplianceError))
        with self._change:
            self._busy.discard(instance)
            self._change.notify_all()
        if pause is not None:
            self.later(instance, pause)
