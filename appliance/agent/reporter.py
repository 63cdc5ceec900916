"""Collects what changed and hands it on in one piece."""

import logging
import threading
from collections.abc import Callable

from appliance.model.instance import InstanceStatus

log = logging.getLogger(__name__)

COALESCE = 0.1
"""Seconds; a deploy of many instances makes many changes at once."""
RETRY = 1.0


class Reporter:
    """A component. `send` gets the latest status of each instance that changed; what it raises on is kept."""

    name = "reporter"

    def __init__(self, send: Callable[[tuple[InstanceStatus, ...]], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._unsent: dict[str, InstanceStatus] = {}
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def changed(self, status: InstanceStatus) -> None:
        with self._lock:
            self._unsent[status.instance] = status
        self._news.set()

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def flush(self) -> None:
        """Send what is waiting; nothing is lost when `send` raises, and nothing newer is overwritten."""
        with self._lock:
            waiting, self._unsent = self._unsent, {}
        if not waiting:
            return
        try:
            self._send(tuple(waiting.values()))
        except BaseException:
            with self._lock:
                self._unsent = waiting | self._unsent
            raise

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait()
            self._stopping.wait(COALESCE)
            self._news.clear()
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - the edge of the loop
                log.warning("reporter: %s; trying again", error)
                self._news.set()
                self._stopping.wait(RETRY)
