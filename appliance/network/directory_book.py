"""Who is where, as this node last heard: in memory, and on the disk for a start without a manager."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from appliance.host.files import write_if_changed
from appliance.model.decoding import decode
from appliance.model.directory import DeployNames, Directory, Endpoint, Policy

log = logging.getLogger(__name__)


class DirectoryBook:
    """Changed from one thread. `subscribe` before the first change; subscribers are told of everything at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._listeners: list[Callable[[Directory], None]] = []
        self._now = self._read()

    @property
    def now(self) -> Directory:
        return self._now

    def subscribe(self, changed: Callable[[Directory], None]) -> None:
        self._listeners.append(changed)

    def take(
        self,
        *,
        full: bool,
        endpoints: Iterable[Endpoint],
        gone: Iterable[str] = (),
        deploys: dict[str, DeployNames] | None = None,
        policies: dict[str, Policy] | None = None,
    ) -> None:
        """Take a manager's news; on the disk before anybody is told. OSError where it cannot be written."""
        known = {} if full else dict(self._now.endpoints)
        for name in gone:
            known.pop(name, None)
        known |= {endpoint.instance: endpoint for endpoint in endpoints}
        fresh = Directory(
            endpoints=known,
            deploys=self._now.deploys if deploys is None else deploys,
            policies=self._now.policies if policies is None else policies,
        )
        if fresh == self._now:
            return
        write_if_changed(self._file, msgspec.json.encode(fresh))
        self._now = fresh
        for listener in self._listeners:
            listener(fresh)

    def _read(self) -> Directory:
        """Nothing when the file is missing or damaged: a manager sends everything after the next hello."""
        try:
            return decode(self._file.read_bytes(), Directory)
        except FileNotFoundError:
            return Directory()
        except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
            log.error("%s does not parse (%s); waiting for a manager to say who is where", self._file, error)
            return Directory()
