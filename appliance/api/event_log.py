"""The cluster's events as this manager saw them: the newest in memory, and a file that outlives the manager.

Every manager derives them from the same changes of the store, so that nobody has to write them there.
"""

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.api.chronicle import Draft, drafts
from appliance.errors import ApplianceError
from appliance.model.decoding import decode
from appliance.model.event import Event
from appliance.model.moment import now_text
from appliance.store.mirror import Alteration, Mirror
from appliance.store.state import State

log = logging.getLogger(__name__)

REMEMBERED = 5000
"""Events in memory."""
LARGEST_FILE = 4 * 1024 * 1024
"""Bytes; then the file becomes the older one, of which there is one."""
_PER_REVISION = 1000
"""Ids between two revisions of the store."""


class EventLog:
    """A component. Start it after the mirror: what the mirror lists first is no news. `first`: what happened before."""

    name = "events"

    def __init__(self, mirror: Mirror, state: State, file: Path, first: Sequence[Draft] = ()) -> None:
        self._mirror = mirror
        self._state = state
        self._file = file
        self._first = first
        self._news = threading.Condition()
        self._events: deque[Event] = deque(maxlen=REMEMBERED)
        self._unwritten: list[Event] = []
        self._stopping = False
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        self._events.extend(_read(self._file))
        self._writer = threading.Thread(target=self._write, name=self.name, daemon=True)
        self._writer.start()
        self.add(self._first)
        self._mirror.observe(self.take)

    def stop(self) -> None:
        with self._news:
            self._stopping = True
            self._news.notify_all()
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    def take(self, changes: Sequence[Alteration]) -> None:
        """Derive and remember the events of some changes."""
        found = []
        for change in changes:
            try:
                found.extend(drafts(change))
            except ApplianceError as error:
                log.warning("events: %s %s", error.what, error.why)
        self.add(found)

    def add(self, found: Sequence[Draft]) -> None:
        """Remember what no change of the store tells; it is in this manager's log only."""
        if not found:
            return
        at, names = now_text(), {node.id: node.name for node in self._state.nodes.all().values()}
        with self._news:
            newest = self._events[-1].id if self._events else 0
            first = max(newest + 1, self._mirror.revision * _PER_REVISION)
            made = [
                Event(
                    id=first + number,
                    at=at,
                    kind=draft.kind,
                    level=draft.level,
                    subject=names.get(draft.subject, draft.subject),
                    message=draft.message,
                    node=names.get(draft.node, draft.node),
                )
                for number, draft in enumerate(found)
            ]
            self._events.extend(made)
            self._unwritten.extend(made)
            self._news.notify_all()

    def after(self, last: int, timeout: float = 0.0) -> list[Event]:
        """Events with an id above `last`, oldest first; waits up to `timeout` seconds for the first."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                found = [event for event in self._events if event.id > last]
                left = deadline - time.monotonic()
                if found or left <= 0 or self._stopping:
                    return found
                self._news.wait(left)

    def newest(self, count: int) -> list[Event]:
        """Newest first."""
        with self._news:
            return list(itertools.islice(reversed(self._events), count))

    def _write(self) -> None:
        complaint = ""
        while True:
            with self._news:
                self._news.wait_for(lambda: bool(self._unwritten) or self._stopping)
                waiting, self._unwritten = self._unwritten, []
                stopping = self._stopping
            try:
                _append(self._file, waiting)
                complaint = ""
            except OSError as error:  # a full disk: people still see them, until the manager ends
                if str(error) != complaint:
                    complaint = str(error)
                    log.warning("events cannot be written to %s: %s", self._file, error)
            if stopping:
                return


def _append(file: Path, events: Sequence[Event]) -> None:
    if not events:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size > LARGEST_FILE:
        file.replace(_older(file))
    with file.open("ab") as lines:
        lines.write(b"".join(msgspec.json.encode(event) + b"\n" for event in events))


def _read(file: Path) -> list[Event]:
    """What earlier managers on this host wrote; a line that a power cut broke is left out."""
    found = []
    for each in (_older(file), file):
        for line in each.read_bytes().splitlines() if each.exists() else ():
            try:
                found.append(decode(line, Event))
            except ValueError:
                log.info("a line of %s does not parse", each)
    return found[-REMEMBERED:]


def _older(file: Path) -> Path:
    return file.with_suffix(".1")
