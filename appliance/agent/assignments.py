"""What this node has to run, kept on its own disk so that it needs nobody to act on it after a restart."""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from appliance.agent.wishes import LocalWishes
from appliance.errors import NotFound
from appliance.host.files import sync_folder, write_if_changed
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.decoding import decode
from appliance.model.instance import Assignment
from appliance.model.wish import Action, LocalWish
from appliance.store.codec import rewritten_file

log = logging.getLogger(__name__)


class AssignmentBook:
    """One file per instance: ``FOLDER/<service>/<deploy>-<index>.json``. Thread-safe.

    A file that does not parse is set aside (``.damaged``) and its instance is named in `damaged`, over restarts too, so
    that nobody takes its containers for leftovers before a manager has sent it again. `confirmed`: full orders came.
    What a person on the node asked for is in everything that is read here, from `wishes`; in the files it is not.
    """

    def __init__(self, folder: Path, wishes: LocalWishes | None = None) -> None:
        self._folder = folder
        self._wishes = wishes
        self._lock = threading.RLock()
        self._all: dict[str, Assignment] = {}
        self._listeners: list[Callable[[str], None]] = []
        self.damaged: set[str] = set()
        self.confirmed = False
        self._read()

    def subscribe(self, changed: Callable[[str], None]) -> None:
        """Call `changed` with the name of every instance put, changed or forgotten, after it is on the disk."""
        self._listeners.append(changed)

    def get(self, instance: str) -> Assignment | None:
        with self._lock:
            found = self._all.get(instance)
        return None if found is None else self._as_wished(found)

    def all(self) -> dict[str, Assignment]:
        with self._lock:
            found = dict(self._all)
        return {name: self._as_wished(each) for name, each in found.items()}

    def wish(self, instance: str, action: Action, who: str) -> LocalWish:
        """Take what a person on this node asks for; durable when it returns. Raises NotFound and Refused."""
        assert self._wishes is not None, "this book takes no wishes"
        with self._lock:
            found = self._all.get(instance)
            if found is None:
                raise NotFound(f"{instance} is not on this node.", next="see: appliance ps")
            made = self._wishes.wish(found, action, who)
        self._tell(instance)
        return made

    def put(self, assignment: Assignment) -> None:
        """Durable when it returns."""
        with self._lock:
            if self._all.get(assignment.instance) == assignment:
                return
            file = self._file(assignment.instance)
            write_if_changed(file, rewritten_file(file, assignment))
            self._all[assignment.instance] = assignment
            self._mend(assignment.instance)
        if self._wishes is not None:
            self._wishes.settle(assignment.instance, assignment.heard)
        self._tell(assignment.instance)

    def forget(self, instance: str) -> None:
        """What still runs of it is removed as a leftover."""
        with self._lock:
            self._mend(instance)
            if self._all.pop(instance, None) is not None:
                file = self._file(instance)
                file.unlink(missing_ok=True)
                sync_folder(file.parent)
        if self._wishes is not None:
            self._wishes.forget(instance)
        self._tell(instance)

    def apply(
        self,
        *,
        full: bool,
        assignments: Iterable[Assignment],
        forget: Iterable[str] = (),
        keep: Iterable[str] = (),
    ) -> None:
        """Take a manager's orders. With `full`, what is neither listed nor in `keep` is to be removed; sidecars never
        are by absence."""
        listed = {assignment.instance: assignment for assignment in assignments}
        gone = set(forget)
        if full:
            stays = {*listed, *keep}
            gone |= {name for name in self.all() if name not in stays and not name.startswith(f"{SYSTEM_SERVICE}/")}
        for name in gone:  # first: what runs elsewhere by now must not run here
            self._retire(name)
        for assignment in listed.values():
            self.put(assignment)
        if full:
            with self._lock:
                coming = {name for name in self.damaged if name in stays or name.startswith(f"{SYSTEM_SERVICE}/")}
                lost = self.damaged - coming
                for name in lost:
                    self._mend(name)
                self.confirmed = True
            for name in lost | {""}:
                self._tell(name)

    def _retire(self, instance: str) -> None:
        """An instance that was not yet being removed is removed in order first: its volumes are known only here."""
        known = self.get(instance)
        if known is not None and known.desired != "removed":
            self.put(msgspec.structs.replace(known, desired="removed"))
        else:
            self.forget(instance)

    def _as_wished(self, assignment: Assignment) -> Assignment:
        return assignment if self._wishes is None else self._wishes.applied(assignment)

    def _mend(self, instance: str) -> None:
        if instance in self.damaged:
            self.damaged.discard(instance)
            self._file(instance).with_suffix(".damaged").unlink(missing_ok=True)

    def _tell(self, instance: str) -> None:
        for listener in self._listeners:
            listener(instance)

    def _file(self, instance: str) -> Path:
        return self._folder / f"{instance}.json"

    def _read(self) -> None:
        self.damaged = {f"{file.parent.name}/{file.stem}" for file in self._folder.glob("*/*.damaged")}
        for file in sorted(self._folder.glob("*/*.json")):
            if file.name.startswith("."):
                continue  # left by a write that a power cut ended
            name = f"{file.parent.name}/{file.stem}"
            try:
                assignment = decode(file.read_bytes(), Assignment)
                if assignment.instance != name:
                    raise msgspec.ValidationError(f"it describes {assignment.instance}")
                self._all[name] = assignment
            except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
                aside = file.with_suffix(".damaged")
                file.replace(aside)
                self.damaged.add(name)
                log.error("%s did not parse (%s); set aside as %s until a manager sends it again", file, error, aside)
        self.damaged -= self._all.keys()
