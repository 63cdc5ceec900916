"""Hears what happens to this node's containers, for as long as the agent runs, whenever the engine answers."""

import logging
import threading
from collections.abc import Callable

from appliance.engine.engine import Engine, EngineEvent, Events

log = logging.getLogger(__name__)

_AGAIN = 0.5
"""Seconds until a stream that broke is opened again."""


class EngineEvents:
    """A component. `look` is called whenever events may have been missed, then `happened` for each, in one thread."""

    name = "engine events"

    def __init__(
        self, engine: Engine, labels: dict[str, str], look: Callable[[], None], happened: Callable[[EngineEvent], None]
    ) -> None:
        self._engine = engine
        self._labels = labels
        self._look = look
        self._happened = happened
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._events: Events | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._hear, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            events = self._events
        if events is not None:
            events.close()
        if self._thread is not None:
            self._thread.join(5.0)
            self._thread = None

    def _hear(self) -> None:
        """Subscribe first, list second, so that nothing falls between; the same again whenever the stream breaks."""
        complaint = ""
        while not self._stopping.is_set():
            try:
                events = self._engine.events(self._labels)
                with self._lock:
                    self._events = events
                if self._stopping.is_set():
                    events.close()
                    return
                self._look()
                complaint = ""
                for event in events:
                    self._happened(event)
            except Exception as error:  # noqa: BLE001 - the edge of the loop
                if str(error) != complaint and not self._stopping.is_set():
                    log.warning("supervisor: %s; trying again", error)
                complaint = str(error)
            self._stopping.wait(_AGAIN)
