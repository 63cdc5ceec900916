"""Keeps what happened on this node until a manager has taken it in, so that nothing is untold when it comes back."""

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from appliance.host.files import set_aside, write_atomic
from appliance.model.decoding import decode
from appliance.model.diary import Happening, HappeningKind
from appliance.model.moment import now_text

log = logging.getLogger(__name__)

MOST = 500
"""Happenings that are kept; the oldest are dropped, and how many is told."""
PAGE = 100
"""Happenings that are told at once."""


@dataclass(frozen=True)
class News:
    """Something to write into the diary of an instance."""

    kind: HappeningKind
    message: str
    bad: bool = False


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    volume: str
    last: int = 0
    lost: int = 0
    boot: str = ""
    happenings: tuple[Happening, ...] = ()


@dataclass(frozen=True)
class Page:
    """The oldest happenings that no manager has taken in. `volume` and `lost` as in `NodeDiary`."""

    volume: str
    lost: int
    happenings: tuple[Happening, ...]


class Diary:
    """A component. `boot` tells one run of the node from the next; `connected` says whether a manager is.

    `later` has its argument done soon, by somebody who may wait for the disk as those who note something may not; what
    a killed agent had not written yet is lost. A file that does not parse is set aside, and a new volume begun.
    """

    name = "diary"

    def __init__(
        self,
        file: Path,
        boot: str,
        connected: Callable[[], bool] = lambda: False,
        later: Callable[[Callable[[], None]], None] = lambda work: work(),
        now: Callable[[], str] = now_text,
    ) -> None:
        self._file = file
        self._connected = connected
        self._later = later
        self._awaits_writing = False
        self._writing = threading.Lock()
        self._now = now
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Page], None]] = []
        kept = self._read() or _Kept(volume=secrets.token_hex(8))
        self._volume, self._last, self._lost = kept.volume, kept.last, kept.lost
        self._happenings = deque(kept.happenings, MOST)
        self._boot = boot
        self._started_anew = kept.boot not in ("", boot)

    def start(self) -> None:
        if self._started_anew:
            self.note("", News("node", "was started anew"))
        else:
            self._changed()

    def stop(self) -> None:
        self._write()

    def subscribe(self, told: Callable[[Page], None]) -> None:
        """Tell the oldest page now, and again after every change. Must be quick."""
        with self._lock:
            self._listeners.append(told)
        self._tell()

    def note(self, instance: str, news: News) -> None:
        with self._lock:
            if len(self._happenings) == MOST:
                self._lost += 1
            self._last += 1
            self._happenings.append(
                Happening(
                    number=self._last,
                    at=self._now(),
                    kind=news.kind,
                    instance=instance,
                    message=news.message,
                    alone=not self._connected(),
                    bad=news.bad,
                )
            )
        self._changed()

    def taken(self, volume: str, number: int) -> None:
        """Managers have everything up to this number."""
        with self._lock:
            if volume != self._volume:
                return
            while self._happenings and self._happenings[0].number <= number:
                self._happenings.popleft()
        self._changed()

    def page(self) -> Page:
        with self._lock:
            oldest = tuple(islice(self._happenings, PAGE))
            return Page(self._volume, self._lost, oldest)

    def _changed(self) -> None:
        with self._lock:
            awaited, self._awaits_writing = self._awaits_writing, True
        if not awaited:
            self._later(self._write)
        self._tell()

    def _write(self) -> None:
        with self._writing:
            write_atomic(self._file, msgspec.json.encode(self._to_keep()))

    def _to_keep(self) -> _Kept:
        with self._lock:
            self._awaits_writing = False
            return _Kept(
                volume=self._volume,
                last=self._last,
                lost=self._lost,
                boot=self._boot,
                happenings=tuple(self._happenings),
            )

    def _tell(self) -> None:
        page = self.page()
        for told in self._listeners:
            told(page)

    def _read(self) -> _Kept | None:
        try:
            return decode(self._file.read_bytes(), _Kept)
        except FileNotFoundError:
            return None
        except ValueError as error:
            aside = set_aside(self._file)
            log.error("%s did not parse (%s); it is %s now, and what it said stays untold", self._file, error, aside)
            return None
