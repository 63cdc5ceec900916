"""Makes a manager's backups: when a person asks, and by the plan; has the newest tried out from time to time.

Every manager makes its own, of the same store and of its own keys: nothing has to be carried between managers, and
each backup restores the very manager that made it.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance import VERSION
from appliance.delivery import backup_folder
from appliance.delivery.backup_file import Kept, new_salt, read_header, write_backup
from appliance.errors import ApplianceError, Unavailable
from appliance.host.layout import Layout
from appliance.loop import Loop
from appliance.model.backup import BackupHeader, BackupMaker, BackupPlan, BackupStatus
from appliance.model.identity import NodeIdentity
from appliance.model.moment import seconds_of, text_of_seconds
from appliance.security.recovery_key import key_id, recovery_secret
from appliance.store import keys
from appliance.store.state import State
from appliance.store.store import Listing, Store

log = logging.getLogger(__name__)

LOOK_AGAIN = 3600.0
"""Seconds until the plan is looked at again at the latest: the clock may have been set."""
TRY_AGAIN = 300.0
"""Seconds after a backup that failed."""
FIRST_REHEARSAL = 3600.0
"""Seconds after a manager's start before which it rehearses nothing: then there is enough to do."""


@dataclass(frozen=True)
class Rehearsal:
    """`found` is a sentence for people, `trouble` what kept the backup from being restorable ("" : nothing)."""

    found: str
    trouble: str = ""


class Backups:
    """A component. `clock` is seconds since the epoch, `steady` counts seconds."""

    name = "backups"

    def __init__(
        self,
        state: State,
        store: Store,
        layout: Layout,
        identity: NodeIdentity,
        rehearse: Callable[[Path], Rehearsal],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._store = store
        self._layout = layout
        self._identity = identity
        self._rehearse = rehearse
        self._clock = clock
        self._steady = steady
        self._rehearses_from = steady() + FIRST_REHEARSAL
        self._one_at_a_time = threading.Lock()
        self._rehearsing = False
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    def start(self) -> None:
        self._loop.follow(lambda wake: self._state.copy.subscribe(keys.BACKUP_PLAN, wake))
        self._loop.start()

    def stop(self) -> None:
        """Waits for a backup that is being written; not for a rehearsal, which takes minutes, and leaves nothing."""
        self._loop.stop(wait=not self._rehearsing)

    @property
    def folder(self) -> Path:
        return self._layout.backups

    def rows(self) -> list[dict[str, Any]]:
        """What lies on this manager, oldest first."""
        return [row_of(self.folder / name, header) for name, header in backup_folder.backups_in(self.folder).items()]

    def make(self, by: BackupMaker) -> Path:
        """A new backup of the store as it is now. Raises ApplianceError."""
        with self._one_at_a_time:
            listing = self._store.list(keys.ROOT)
            secret = recovery_secret(self._layout.seal_key.read_bytes())
            header = self._header(listing, secret, by)
            path = self.folder / backup_folder.name_of(header)
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_backup(path, header, secret, manager_files(self._layout), lasting(listing))
            return path

    def cycle(self) -> float | None:
        """Do what the plan says is due; returns the seconds until the next is."""
        plan = self._state.backup_plan()
        due = self._until(plan.every, self._newest())
        if due <= 0:
            self._make_by_plan(plan)
            due = self._until(plan.every, self._newest())
            if due <= 0:
                return TRY_AGAIN
        if plan.rehearse and self._steady() >= self._rehearses_from and self._newest():
            if self._until(plan.rehearse, self._status().rehearsed_at) <= 0:
                self.rehearse()
            due = min(due, self._until(plan.rehearse, self._status().rehearsed_at))
        return due

    def rehearse(self) -> None:
        """Try out the newest backup, and write down how it went."""
        name = backup_folder.in_order(backup_folder.backups_in(self.folder), self._now())[-1]
        self._rehearsing = True
        try:
            outcome = self._rehearse(self.folder / name)
        finally:
            self._rehearsing = False
        at = text_of_seconds(self._clock(), "seconds")
        self._note(rehearsed_at=at, rehearsed=outcome.found, rehearsal_trouble=outcome.trouble)

    def _make_by_plan(self, plan: BackupPlan) -> None:
        trouble = ""
        try:
            path = self.make("schedule")
            self._note(made_at=read_header(path).made_at, name=path.name)
            if plan.folder:
                self._copy(path, Path(plan.folder))
            for folder in (self.folder, *([Path(plan.folder)] if plan.folder else [])):
                self._thin_out(folder, plan.keep)
        except ApplianceError as error:
            log.warning("backups: %s %s", error.what, error.why)
            trouble = f"{error.what} {error.where}: {error.why}"
        self._note(trouble=trouble)

    def _copy(self, path: Path, folder: Path) -> None:
        if not folder.is_dir():  # making it would fill the disk below a mount that is missing
            raise ApplianceError(
                "The folder for copies of backups is not there.", where=str(folder), why="is it mounted?"
            )
        backup_folder.copy_to(path, folder / path.name)

    def _thin_out(self, folder: Path, keep: int) -> None:
        found = backup_folder.backups_in(folder)
        for name in backup_folder.surplus(found, self._identity.cluster_id, self._identity.id, keep, self._now()):
            backup_folder.remove(folder / name)

    def _header(self, listing: Listing, secret: bytes, by: BackupMaker) -> BackupHeader:
        return BackupHeader(
            cluster=self._identity.cluster_id,
            cluster_name=self._identity.cluster_name,
            node=self._identity.id,
            node_name=self._identity.name,
            made_at=self._now(),
            release=VERSION,
            revision=listing.revision,
            by=by,
            key_id=key_id(secret),
            salt=new_salt(),
        )

    def _newest(self) -> str:
        """When the schedule last made one, "" : never. Those of the future do not count: a clock was wrong, or is."""
        found, now = backup_folder.backups_in(self.folder).values(), self._now()
        return max((each.made_at for each in found if each.by == "schedule" and each.made_at <= now), default="")

    def _now(self) -> str:
        return text_of_seconds(self._clock())

    def _until(self, every: float, last: str) -> float:
        """Seconds until what is done every so often is due; a moment in the future was that of a wrong clock."""
        if not every:
            return LOOK_AGAIN
        passed = self._clock() - seconds_of(last)
        return every - passed if passed >= 0 else 0.0

    def _status(self) -> BackupStatus:
        return self._state.backup_status.get(self._identity.id) or BackupStatus(node=self._identity.id)

    def _note(self, **changes: str) -> None:
        table, before = self._state.backup_status, self._status()
        after = msgspec.structs.replace(before, **changes)
        if after == before:
            return
        revision = self._store.commit([table.put(after.node, after)])
        if not self._state.copy.wait_for(revision, 5.0):
            raise Unavailable("The copy of the store lags behind.", why="the status of backups has not arrived yet")


def manager_files(layout: Layout) -> list[Kept]:
    """What makes this host the manager that it is: its identity and its keys."""
    found = [path for path in sorted(layout.pki.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    places = {f"pki/{path.relative_to(layout.pki)}": path for path in found} | {"node.json": layout.node_file}
    return [Kept(path=name, mode=path.stat().st_mode & 0o777, data=path.read_bytes()) for name, path in places.items()]


def lasting(listing: Listing) -> dict[str, bytes]:
    """What outlives whoever wrote it: a lease cannot be kept in a file."""
    return {entry.key: entry.value for entry in listing.entries if not entry.key.startswith(keys.LEASED)}


def row_of(path: Path, header: BackupHeader) -> dict[str, Any]:
    """A backup as the API and the command line show it; `size` in bytes."""
    row = msgspec.to_builtins(header)
    del row["salt"]
    return {"name": path.name, "size": path.stat().st_size, **row}
