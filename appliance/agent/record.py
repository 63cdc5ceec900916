"""What has been done for an instance and must be done neither twice nor not at all, kept on the node's disk.

Only instances that need it have one: jobs, and those with hooks or with containers that are not always restarted.
"""

import logging
import threading
from pathlib import Path
from typing import Literal

import msgspec

from appliance.engine.engine import ContainerState
from appliance.engine.hook import Moment
from appliance.host.files import sync_folder, write_if_changed
from appliance.model.decoding import decoder
from appliance.model.instance import Assignment, JobStatus

log = logging.getLogger(__name__)

Outcome = Literal["succeeded", "failed"]


class Life(msgspec.Struct, frozen=True, kw_only=True, tag="life"):
    """How far an instance is between its starts and its stops.

    All hooks of the moments before `moment` are done, and `done` of this one. ``pre``: nothing of it was started, or it
    was stopped in order. `purpose` tells one start from another. `started`: what it was last started as, whose hooks a
    stop takes; None after a stop. `failures` : starts in a row that were given up, the last at `failed_at` (seconds
    since 1970) because of `failed`, the engine's id of a one-shot container. `report`: the last hook that failed.
    """

    moment: Moment = "pre"
    done: int = 0
    purpose: str = ""
    started: Assignment | None = None
    failures: int = 0
    failed_at: float = 0.0
    failed: str = ""
    report: str = ""


class Tries(msgspec.Struct, frozen=True, kw_only=True, tag="tries"):
    """How often a job's instance was started. Written before each start, and at the end.

    `mark` is what the container was before the newest start; while it still is that, it was not started. `why`: one
    sentence when the engine would not start it, or when it has failed for good. `outcome` and `last`: once it is over.
    """

    count: int = 0
    mark: str = ""
    why: str = ""
    outcome: Outcome | None = None
    last: JobStatus | None = None

    def next(self, container: ContainerState) -> "Tries":
        return Tries(count=self.count + 1, mark=_run(container))

    def refused(self, why: str) -> "Tries":
        """The engine would not start it."""
        return msgspec.structs.replace(self, why=why)

    def marks(self, container: ContainerState) -> bool:
        """The newest start was written down, but has not come about."""
        return self.count > 0 and self.mark == _run(container)


LOST = Tries(count=1, mark="?")
"""In the place of a record that does not parse: that a `once` job was started cannot be ruled out."""

Record = Life | Tries
_DECODER: msgspec.json.Decoder[Record] = decoder(Record)


class Records:
    """One file per instance: ``FOLDER/<service>/<deploy>-<index>.json``. Thread-safe.

    What does not parse counts as nothing known of a life, and as one start of a job.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, Record | None] = {}

    def life(self, instance: str) -> Life | None:
        found = self._get(instance)
        return found if isinstance(found, Life) else None

    def tries(self, instance: str) -> Tries:
        found = self._get(instance)
        return found if isinstance(found, Tries) else Tries()

    def put(self, instance: str, record: Record) -> None:
        """Durable when it returns."""
        with self._lock:
            write_if_changed(self._file(instance), msgspec.json.encode(record))
            self._known[instance] = record

    def forget(self, instance: str) -> None:
        with self._lock:
            self._known.pop(instance, None)
            file = self._file(instance)
            if file.exists():
                file.unlink()
                sync_folder(file.parent)

    def _get(self, instance: str) -> Record | None:
        with self._lock:
            if instance not in self._known:
                self._known[instance] = self._read(self._file(instance))
            return self._known[instance]

    def _read(self, file: Path) -> Record | None:
        try:
            return _DECODER.decode(file.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            log.error("%s cannot be read (%s); what it said is taken as not known", file, error)
            return LOST

    def _file(self, instance: str) -> Path:
        return self._folder / f"{instance}.json"


def _run(container: ContainerState) -> str:
    return f"{container.id} {container.started_at}"
