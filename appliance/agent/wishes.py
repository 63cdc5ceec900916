"""What people on this node asked of its instances, kept on its disk until a manager has heard of it."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.errors import Refused
from appliance.host.files import set_aside, write_atomic
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.decoding import decode
from appliance.model.instance import Assignment
from appliance.model.moment import now_text
from appliance.model.wish import Action, Known, LocalWish
from appliance.store.codec import rewritten_file

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`number`: the highest that was ever given."""

    number: int
    wishes: tuple[LocalWish, ...]


class LocalWishes:
    """Thread-safe. A file that does not parse is set aside: then the instances are as the managers last wished."""

    def __init__(self, file: Path, now: Callable[[], str] = now_text) -> None:
        self._file = file
        self._now = now
        self._lock = threading.Lock()
        self._number = 0
        self._wishes: dict[str, LocalWish] = {}
        self._listeners: list[Callable[[tuple[LocalWish, ...]], None]] = []
        self._read()

    def subscribe(self, told: Callable[[tuple[LocalWish, ...]], None]) -> None:
        """Tell all wishes now, and again after every change, once they are on the disk. Must be quick."""
        with self._lock:
            self._listeners.append(told)
            told(tuple(self._wishes.values()))

    def all(self) -> tuple[LocalWish, ...]:
        with self._lock:
            return tuple(self._wishes.values())

    def applied(self, assignment: Assignment) -> Assignment:
        """The assignment as this node carries it out."""
        with self._lock:
            return after_wish(assignment, self._wishes.get(assignment.instance))

    def wish(self, assignment: Assignment, action: Action, who: str) -> LocalWish:
        """Durable when it returns. `assignment` is what the managers sent. Raises Refused for what is no deploy's."""
        refuse_foreign(assignment)
        with self._lock:
            before = self._wishes.get(assignment.instance)
            number = max(self._number, assignment.heard) + 1
            made = wished(assignment, before, action, number, self._now(), who)
            self._keep(number, self._wishes | {made.instance: made})
        return made

    def settle(self, instance: str, heard: int) -> None:
        """Managers have heard the instance's wishes up to this number."""
        with self._lock:
            known = self._wishes.get(instance)
            if known is not None and known.number <= heard:
                self._keep(self._number, {name: each for name, each in self._wishes.items() if name != instance})

    def forget(self, instance: str) -> None:
        """The instance is not of this node any more."""
        self.settle(instance, self._number)

    def _keep(self, number: int, wishes: dict[str, LocalWish]) -> None:
        kept = _Kept(number=number, wishes=tuple(wishes.values()))
        write_atomic(self._file, rewritten_file(self._file, kept))
        self._number, self._wishes = number, wishes
        for told in self._listeners:
            told(tuple(wishes.values()))

    def _read(self) -> None:
        try:
            kept = decode(self._file.read_bytes(), _Kept)
        except FileNotFoundError:
            return
        except ValueError as error:
            aside = set_aside(self._file)
            log.error(
                "%s did not parse (%s); it is %s now, and what was stopped here runs again", self._file, error, aside
            )
            return
        self._number, self._wishes = kept.number, {each.instance: each for each in kept.wishes}


def after_wish(assignment: Assignment, wish: LocalWish | None) -> Assignment:
    """Managers that have heard the wish, or that want the instance removed, have the last word. Pure."""
    if wish is None or assignment.heard >= wish.number or assignment.desired == "removed":
        return assignment
    restart = max(assignment.restart, wish.restart)
    return msgspec.structs.replace(assignment, desired=wish.desired, restart=restart)


def wished(
    assignment: Assignment, before: LocalWish | None, action: Action, number: int, at: str, who: str
) -> LocalWish:
    """The wish after one more action; `before`: one that no manager has heard. Pure."""
    now = after_wish(assignment, before)
    known = Known(desired=assignment.desired, restart=assignment.restart, generation=assignment.generation)
    return LocalWish(
        instance=assignment.instance,
        number=number,
        action=action,
        at=at,
        who=who,
        desired={"stop": "stopped", "start": "running", "restart": now.desired}[action],  # type: ignore[arg-type]
        restart=now.restart + (action == "restart"),
        known=before.known if before is not None else known,
    )


def refuse_foreign(assignment: Assignment) -> None:
    """Raises Refused for what a person on the node may not change: sidecars, jobs, and what is being removed."""
    name = assignment.instance
    if assignment.service == SYSTEM_SERVICE:
        raise Refused("Sidecars are the appliance's own; they are kept running by each node.")
    if assignment.job is not None:
        raise Refused(
            f"{name} belongs to the job {assignment.service}/{assignment.deploy}.", next="see: appliance job --help"
        )
    if assignment.desired == "removed":
        raise Refused(f"{name} is being removed from this node.")
