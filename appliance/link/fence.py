"""Keeps a node from going back: a manager that was cut off has an old copy of the store, and commands from it.

What a node has taken is a stamp (`model/stamp.py`) that only rises. Whenever the node begins to follow a manager, the
stamp of that moment is the base: nothing older is taken from this manager. The turn counts these beginnings, so that
managers can tell which of them is followed now.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.host.files import write_atomic
from appliance.model.decoding import decode
from appliance.model.stamp import Stamp

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True):
    cluster: str
    stamp: Stamp = Stamp()
    turn: int = 0


class Fence:
    """Thread-safe. In memory everything is counted that was taken; on the disk only what was worth a write (`keep`).

    `cluster`: its id; what was kept of another one says nothing. `clock`: seconds since 1970; only ever compared with
    this node's own earlier turns, in case the file was lost.
    """

    def __init__(self, file: Path, cluster: str, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._kept = _read(file, cluster)
        self._stamp, self._turn = self._kept.stamp, self._kept.turn

    @property
    def stamp(self) -> Stamp:
        """The newest that was taken."""
        return self._stamp

    def take(self, stamp: Stamp) -> None:
        with self._lock:
            self._stamp = max(self._stamp, stamp)

    def next_turn(self) -> int:
        """Greater than every earlier one."""
        with self._lock:
            self._turn = max(self._turn + 1, int(self._clock()))
            return self._turn

    def keep(self, stamp: Stamp) -> None:
        """Remember, durably, that what has this stamp was carried out. Nobody else waits for the disk meanwhile."""
        with self._writing:
            kept = _Kept(self._kept.cluster, max(self._kept.stamp, stamp), self._turn)
            if kept == self._kept:
                return
            write_atomic(self._file, msgspec.json.encode(kept))
            self._kept = kept


def _read(file: Path, cluster: str) -> _Kept:
    nothing = _Kept(cluster)
    try:
        kept = decode(file.read_bytes(), _Kept)
    except FileNotFoundError:
        return nothing
    except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
        log.error("%s did not parse (%s): the next manager is believed whatever it says", file, error)
        return nothing
    return kept if kept.cluster == cluster else nothing
