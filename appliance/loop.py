"""The reconcile loop: the one place where a part is woken by a change or a timer, and tried again when it failed."""

import logging
import random
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 30.0


class Loop:
    """Calls `cycle` in a thread of its own: at once, after every `wake`, and every `interval` seconds.

    A cycle that raises is tried again after a growing, jittered pause; the same failure is logged once, and the
    recovery once. `cycle` works from a full snapshot, so that many wakes may be served by one cycle. It may return
    the number of seconds after which it wants to run again, or None. `longest_backoff` bounds that pause in seconds,
    for a loop that must be back soon after an outage.
    """

    def __init__(
        self,
        name: str,
        cycle: Callable[[], float | None],
        *,
        interval: float = 30.0,
        longest_backoff: float = LONGEST_BACKOFF,
    ) -> None:
        self.name = name
        self._cycle = cycle
        self._interval = interval
        self._longest_backoff = longest_backoff
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._failure = ""
        self._followed: list[Callable[[], None]] = []

    def follow(self, *subscribe: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
        """Be woken by each of these until `stop`: it is called with `wake` and returns what ends that."""
        self._followed.extend(each(self.wake) for each in subscribe)

    def start(self) -> None:
        self._stopping = False
        self._wake.set()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask for a cycle soon; cheap, from any thread."""
        self._wake.set()

    def stop(self, *, wait: bool = True) -> None:
        """Return once no cycle runs any more, or at once without `wait`; what it followed wakes it no longer."""
        while self._followed:
            self._followed.pop()()
        self._stopping = True
        self._wake.set()
        if wait and self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def _run(self) -> None:
        pause: float = self._interval
        backoff = FIRST_BACKOFF
        while True:
            self._wake.wait(timeout=pause)
            self._wake.clear()
            if self._stopping:
                return
            try:
                wanted = self._cycle()
            except Exception as error:  # noqa: BLE001 - the loop is the one place that outlives any failure
                self._log_failure(error)
                # A wake must not turn a broken cycle into a busy one.
                time.sleep(min(backoff, 1.0) * random.uniform(0.5, 1.0))
                pause = max(0.0, backoff - 1.0)
                backoff = min(backoff * 2, self._longest_backoff)
                continue
            if self._failure:
                log.info("%s: recovered", self.name)
                self._failure = ""
            backoff = FIRST_BACKOFF
            pause = self._interval if wanted is None else max(0.0, min(wanted, self._interval))

    def _log_failure(self, error: Exception) -> None:
        failure = f"{type(error).__name__}: {error}"
        if failure != self._failure:
            log.warning("%s: %s; trying again", self.name, failure, exc_info=not hasattr(error, "what"))
            self._failure = failure
