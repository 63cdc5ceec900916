"""The cluster's state as typed tables over an in-memory copy, which every reader in a manager shares.

Reads never leave the process. A write goes to the store as operations made here (`put`, `delete`), committed together
with what they depend on (`unchanged`).
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from appliance.errors import Unavailable
from appliance.model.backup import BackupPlan, BackupStatus
from appliance.model.certificate import HeldCertificate, RevokedKey
from appliance.model.cluster import Cluster, Image, JoinToken, User
from appliance.model.diary import NodeDiary
from appliance.model.directory import VirtualAddress
from appliance.model.entry import IssuedCertificate
from appliance.model.instance import Binding, Instance, InstanceStatus, Refusal
from appliance.model.job import JobRun, JobState
from appliance.model.manager import Alive
from appliance.model.node import NodeSpec, NodeStatus
from appliance.model.rotation import ManagerTrust, NodeTrust, Rotation
from appliance.model.secret import Secret
from appliance.model.service import Autoscaled, Revision, Rollout, ServiceHead
from appliance.model.session import LoginSession
from appliance.model.stamp import Stamp
from appliance.model.vip import Vip, VipStatus
from appliance.store import keys
from appliance.store.codec import decode, encode, rewritten
from appliance.store.store import MOST_OPERATIONS, Delete, Entry, Expect, Put, Store


class Copy(Protocol):
    """A copy of everything below a prefix of the store, kept fresh by a watch (`mirror.py`; thread-safe)."""

    @property
    def revision(self) -> int:
        """The store's revision that the copy has reached."""
        ...

    def get(self, key: str) -> Entry | None: ...

    def below(self, prefix: str) -> list[Entry]:
        """Entries below `prefix` in key order, as of one moment."""
        ...

    def changed_since(self, revision: int) -> frozenset[str] | None:
        """Keys that changed after the copy had reached `revision`; None when it does not remember that far back."""
        ...

    def wait_for(self, revision: int, timeout: float) -> bool:
        """Wait until the copy has reached `revision`: call it with a commit's result to read your own write."""
        ...

    def subscribe(self, prefix: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back (from the mirror's thread; must be quick, e.g. `Loop.wake`) after every change below `prefix`.

        Returns a function that ends the subscription.
        """
        ...


class Table[T]:
    """All values of one kind, by name (the part of the key after the table's prefix). Decoded values are cached."""

    def __init__(self, copy: Copy, prefix: str, kind: type[T]) -> None:
        self.prefix = prefix
        self._copy = copy
        self._kind = kind
        self._decoded: dict[str, tuple[int, T]] = {}
        self._most = _FEW

    def get(self, name: str) -> T | None:
        entry = self._copy.get(self.prefix + name)
        return None if entry is None else self._value(entry)

    def all(self) -> dict[str, T]:
        """Name → value, in key order."""
        return dict(self.below(""))

    def below(self, name: str) -> Iterator[tuple[str, T]]:
        """Values whose names start with `name`."""
        for entry in self._copy.below(self.prefix + name):
            yield entry.key[len(self.prefix) :], self._value(entry)

    def unchanged(self, name: str) -> Expect:
        """The condition that nobody has changed (or made) this value since this copy saw it. Ask for it before you look
        at the value; afterwards only `still` says what you have decided from."""
        entry = self._copy.get(self.prefix + name)
        return Expect(self.prefix + name, 0 if entry is None else entry.revision)

    def still(self, name: str, value: T | None) -> Expect:
        """The condition that the value is still this one, which was read from here; None : that there is none.

        It never holds where this copy has seen another one since.
        """
        entry = self._copy.get(self.prefix + name)
        now = None if entry is None else self._value(entry)
        revision = 0 if entry is None else entry.revision
        return Expect(self.prefix + name, revision if now == value else _NEVER)

    def put(self, name: str, value: T, *, lease: int = 0) -> Put:
        """What a newer release has added to the value that is there stays. Raises LocalStateDamaged if that one is not
        readable here."""
        key = self.prefix + name
        entry = self._copy.get(key)
        return Put(key, encode(value) if entry is None else rewritten(entry.value, value, where=key), lease)

    def delete(self, name: str) -> Delete:
        return Delete(self.prefix + name)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._copy.subscribe(self.prefix, callback)

    def _value(self, entry: Entry) -> T:
        known = self._decoded.get(entry.key)
        if known is not None and known[0] == entry.revision:
            return known[1]
        value = decode(entry.value, self._kind, where=entry.key)
        if len(self._decoded) >= self._most:
            self._forget_what_is_gone()
        self._decoded[entry.key] = (entry.revision, value)
        return value

    def _forget_what_is_gone(self) -> None:
        there = {entry.key for entry in self._copy.below(self.prefix)}
        self._decoded = {key: known for key, known in list(self._decoded.items()) if key in there}
        self._most = 2 * len(there) + _FEW


_FEW = 64
"""Decoded values of which it does not matter whether the store still has them."""
_NEVER = -1
"""No entry has this revision."""


class Cell[T]:
    """The only value of its kind, in a place of its own; all else as in a table."""

    def __init__(self, copy: Copy, key: str, kind: type[T]) -> None:
        self._table = Table(copy, key, kind)

    def get(self) -> T | None:
        return self._table.get("")

    def unchanged(self) -> Expect:
        return self._table.unchanged("")

    def still(self, value: T | None) -> Expect:
        return self._table.still("", value)

    def put(self, value: T) -> Put:
        return self._table.put("", value)

    def delete(self) -> Delete:
        return self._table.delete("")

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._table.subscribe(callback)


class State:
    """Every table of the cluster, and every cell."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self.alive = Table(copy, keys.ALIVE, Alive)
        self.users = Table(copy, keys.USERS, User)
        self.sessions = Table(copy, keys.SESSIONS, LoginSession)
        self.tokens = Table(copy, keys.TOKENS, JoinToken)
        self.images = Table(copy, keys.IMAGES, Image)
        self.nodes = Table(copy, keys.NODES, NodeSpec)
        self.services = Table(copy, keys.SERVICES, ServiceHead)
        self.secrets = Table(copy, keys.SECRETS, Secret)
        self.rollouts = Table(copy, keys.ROLLOUTS, Rollout)
        self.outcomes = Table(copy, keys.OUTCOMES, Rollout)
        self.autoscale = Table(copy, keys.AUTOSCALE, Autoscaled)
        self.certificates = Table(copy, keys.CERTIFICATES, IssuedCertificate)
        self.revoked = Table(copy, keys.REVOKED, RevokedKey)
        self.node_trust = Table(copy, keys.NODE_TRUST, NodeTrust)
        self.manager_trust = Table(copy, keys.MANAGER_TRUST, ManagerTrust)
        self.held = Table(copy, keys.HELD, HeldCertificate)
        self.virtual = Table(copy, keys.VIRTUAL, VirtualAddress)
        self.vips = Table(copy, keys.VIPS, Vip)
        self.vip_status = Table(copy, keys.VIP_STATUS, VipStatus)
        self.jobs = Table(copy, keys.JOBS, JobState)
        self.runs = Table(copy, keys.RUNS, JobRun)
        self.instances = Table(copy, keys.INSTANCES, Instance)
        self.bindings = Table(copy, keys.BINDINGS, Binding)
        self.refusals = Table(copy, keys.REFUSALS, Refusal)
        self.diaries = Table(copy, keys.DIARIES, NodeDiary)
        self.node_status = Table(copy, keys.NODE_STATUS, NodeStatus)
        self.instance_status = Table(copy, keys.INSTANCE_STATUS, InstanceStatus)
        self.backup_status = Table(copy, keys.BACKUP_STATUS, BackupStatus)
        self.revisions = Table(copy, keys.REVISIONS, Revision)
        self.cluster_cell = Cell(copy, keys.CLUSTER, Cluster)
        self.rotation_cell = Cell(copy, keys.ROTATION, Rotation)
        self.backup_plan_cell = Cell(copy, keys.BACKUP_PLAN, BackupPlan)

    def cluster(self) -> Cluster | None:
        """None until `up` has written it."""
        return self.cluster_cell.get()

    def stamp(self) -> Stamp:
        """How new this copy is; whatever is read from it afterwards is at least as new."""
        revision = self.copy.revision
        cluster = self.cluster()
        return Stamp(cluster.incarnation if cluster else 0, revision)

    def backup_plan(self) -> BackupPlan:
        """The usual one until somebody has chosen another."""
        return self.backup_plan_cell.get() or BackupPlan()

    def rotation(self) -> Rotation | None:
        """None where the authorities are not being replaced."""
        return self.rotation_cell.get()

    def revision(self, service: str, number: int) -> Revision | None:
        return self.revisions.get(keys.revision_name(service, number))

    def outcome(self, service: str, number: int) -> Rollout | None:
        """How the rollout of a revision ended; None while it has not."""
        return self.outcomes.get(keys.revision_name(service, number))


@dataclass(frozen=True, slots=True)
class Change:
    """Operations that belong together, and what must still be true when they are done."""

    operations: tuple[Put | Delete, ...]
    expect: tuple[Expect, ...] = ()


def commit_as_leader(
    store: Store, copy: Copy, term: Expect, changes: Iterable[Change], *, independent: bool = False
) -> None:
    """Commit in as few batches as the store allows, each only while `term` holds; then wait to read the own write.

    The batches are done one after the other, and none after one that failed; `independent` ones several at a time, and
    all of them whatever becomes of the others. Raises Conflict when a batch met a newer value or the term is over
    (what else was done stays done), StoreUnavailable as every commit does, Unavailable when the copy lags behind.
    """
    batches = list(_batches(term, changes))
    if not independent or len(batches) < 2:
        revisions = [store.commit(operations, expect) for operations, expect in batches]
        await_copy(copy, max(revisions, default=0))
        return
    with ThreadPoolExecutor(AT_ONCE, "commit") as threads:
        commits = [threads.submit(store.commit, operations, expect) for operations, expect in batches]
    failures = [failure for each in commits if (failure := each.exception()) is not None]
    await_copy(copy, max((each.result() for each in commits if each.exception() is None), default=0))
    if failures:
        raise failures[0]


def _batches(term: Expect, changes: Iterable[Change]) -> Iterator[tuple[list[Put | Delete], tuple[Expect, ...]]]:
    operations: list[Put | Delete] = []
    expect: dict[Expect, None] = {term: None}
    for change in changes:
        conditions = expect | dict.fromkeys(change.expect)
        if operations and max(len(operations) + len(change.operations), len(conditions)) > MOST_OPERATIONS:
            yield operations, tuple(expect)
            operations, conditions = [], {term: None} | dict.fromkeys(change.expect)
        operations.extend(change.operations)
        expect = conditions
    if operations:
        yield operations, tuple(expect)


def held_certificates(state: State) -> list[HeldCertificate]:
    """Of nodes that exist, and of a manager's those only that one has which still is a manager."""
    nodes = state.nodes.all()
    found = [(each, nodes.get(each.node)) for each in state.held.all().values()]
    return [each for each, node in found if node is not None and (each.use == "host" or "manager" in node.roles)]


def record_held(state: State, store: Store, held: Iterable[HeldCertificate]) -> None:
    """Write down which certificates there are, where that is news. Whoever issued or holds them knows best."""
    news = [each for each in held if each != state.held.get(each.name)]
    if news:
        await_copy(state.copy, store.commit([state.held.put(each.name, each) for each in news]))


def await_copy(copy: Copy, revision: int) -> None:
    """Raises Unavailable (retryable) when the copy has not reached `revision` after a few seconds.

    A new leader calls it with its term's revision: everything earlier leaders wrote is older than that.
    """
    if copy.revision < revision and not copy.wait_for(revision, LONGEST_LAG):
        raise Unavailable("The copy of the store lags behind.", why=f"revision {revision} has not arrived yet")


LONGEST_LAG = 5.0
"""Seconds."""

AT_ONCE = 8
"""Independent batches on their way to the store."""
