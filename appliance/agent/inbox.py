"""Takes off others what has to wait for the disk, a manager's orders above all, and does it one after the other."""

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

RETRY = 2.0
"""Seconds until orders that could not be written (a full disk) are tried again; later ones wait behind them."""


class Inbox:
    """A component. `put` may be called from any thread and returns at once; work is done in the order of arrival."""

    name = "inbox"

    def __init__(self, retry: float = RETRY) -> None:
        self._retry = retry
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, work: Callable[[], None]) -> None:
        """`work` is done once; after an OSError again, until it succeeds. Any other failure is logged, and its end."""
        self._work.put(work)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What has not been done is sent again by a manager after the next hello."""
        self._stopping.set()
        self._work.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (work := self._work.get()) is not None and not self._stopping.is_set():
            complaint = ""
            while not self._stopping.is_set():
                try:
                    work()
                    break
                except OSError as error:
                    if str(error) != complaint:
                        complaint = str(error)
                        log.error("a manager's orders cannot be written: %s; trying again", error)
                    self._stopping.wait(self._retry)
                except Exception:
                    log.exception("a manager's orders cannot be carried out")
                    break
