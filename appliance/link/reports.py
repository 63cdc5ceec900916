"""Writes what nodes report into the store: latest value only, in batches, and only a node's own instances.

Only the manager that a node follows writes for it. The node counts the managers that it began to follow (its turn), so
whoever was followed earlier and does not know yet finds a higher turn in the store and leaves it alone.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from itertools import batched

import msgspec

from appliance.errors import Conflict
from appliance.link.messages import Hello, Report
from appliance.loop import Loop
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.instance import InstanceStatus
from appliance.model.manager import Alive
from appliance.model.moment import now_text
from appliance.model.node import NodeStatus
from appliance.store.state import Change, State, await_copy
from appliance.store.store import Expect, Store

log = logging.getLogger(__name__)

BATCH = 60
"""Statuses in one commit, each an operation and two conditions."""
RETRY = 0.2
"""Seconds until a status is tried again that met a conflict."""
LEFT_FOR = 8.0
"""Seconds after its link ended before a node that follows nobody else is shown as unreachable."""
UNREACHABLE_AFTER = 25.0
"""The same after this manager has started, or found that the one that the node followed is gone."""


class Reports:
    """A component; its `hello`, `report` and `left` are the link's callbacks, from any thread.

    `term` is the condition that this manager leads, None while it does not: the leader speaks for nodes whose manager
    is gone. `clock` counts seconds.
    """

    name = "reports"

    def __init__(
        self,
        state: State,
        store: Store,
        own: Alive,
        term: Callable[[], Expect | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._store = store
        self._own = own
        self._term = term
        self._clock = clock
        self._lock = threading.Lock()
        self._instances: dict[str, InstanceStatus] = {}
        self._followers: dict[str, NodeStatus] = {}
        self._missed: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        self._changes = 1
        self._looked_at = 0
        self._ends: list[Callable[[], None]] = []
        self._loop = Loop("reports", self.cycle, interval=UNREACHABLE_AFTER)

    def start(self) -> None:
        for table in (self._state.nodes, self._state.node_status, self._state.alive):
            self._ends.append(table.subscribe(self.wake))
        self._loop.start()

    def stop(self) -> None:
        while self._ends:
            self._ends.pop()()
        self._loop.stop()

    def wake(self) -> None:
        """Nodes, their statuses or managers have changed, or who leads."""
        with self._lock:
            self._changes += 1
        self._loop.wake()

    def hello(self, node_id: str, message: Hello) -> None:
        """The node follows this manager from now on."""
        status = NodeStatus(
            id=node_id,
            state="ready",
            since=now_text(),
            facts=message.facts,
            vtep_mac=message.vtep_mac,
            manager=self._own.id,
            run=self._own.run,
            turn=message.turn,
        )
        with self._lock:
            self._followers[node_id] = status
            self._missed.pop(node_id, None)
            self._refused.pop(node_id, None)
            self._changes += 1
        self.report(node_id, Report(statuses=message.statuses))

    def report(self, node_id: str, message: Report) -> None:
        own = {status.instance: status for status in message.statuses if status.node == node_id}
        with self._lock:
            self._instances.update(own)
        self._loop.wake()

    def left(self, node_id: str) -> None:
        """The node no longer follows this manager, or its link has ended; its instances keep running, for all we
        know."""
        with self._lock:
            self._followers.pop(node_id, None)
            self._missed[node_id] = self._clock() + LEFT_FOR
        self.wake()

    def refused(self, node_id: str, why: str) -> None:
        """This manager does not work with the node; people are told why where no other one does."""
        with self._lock:
            self._refused[node_id] = why
        self.wake()

    def cycle(self) -> float | None:
        """Write what is waiting. What a conflict or an outage kept from being written stays waiting.

        A node's own status is written after those of its instances: it says that they are known.
        """
        with self._lock:
            instances, followers, changes = dict(self._instances), dict(self._followers), self._changes
        refused = self._write(self._instance_changes(instances, followers))
        with self._lock:
            self._instances = {k: v for k, v in self._instances.items() if k in refused or v is not instances.get(k)}
        if refused or (changes != self._looked_at and self._write(self._node_changes(followers) | self._explained())):
            return RETRY
        if changes == self._looked_at and not self._missed:
            return None
        wait = self._miss()
        self._looked_at = changes
        return wait

    def _instance_changes(
        self, instances: dict[str, InstanceStatus], followers: dict[str, NodeStatus]
    ) -> dict[str, Change]:
        """What is news about instances that are bound to who reports them; sidecars belong to their node."""
        table = self._state.instance_status
        changes = {}
        for name, status in instances.items():
            if name.startswith(f"{SYSTEM_SERVICE}/"):
                owned = self._state.nodes.unchanged(status.node)
            else:
                owned = self._state.bindings.unchanged(name)
                binding = self._state.bindings.get(name)
                if binding is None or binding.node != status.node:
                    continue  # forgotten meanwhile, or moved
            untold = self._state.node_status.unchanged(status.node)  # nobody is followed instead
            if owned.revision and self._speaks_for(status.node, followers) and table.get(name) != status:
                changes[name] = Change((table.put(name, status),), (owned, untold))
        return changes

    def _speaks_for(self, node_id: str, followers: dict[str, NodeStatus]) -> bool:
        known, own = self._state.node_status.get(node_id), followers.get(node_id)
        if own is not None:
            return known is None or _is_newer(own, known)
        return known is not None and (known.manager, known.run) == (self._own.id, self._own.run)

    def _node_changes(self, followers: dict[str, NodeStatus]) -> dict[str, Change]:
        """What is news about nodes that exist; each holds only as long as its node does, and nobody else spoke."""
        table = self._state.node_status
        changes = {}
        for node_id, status in followers.items():
            exists, untold = self._state.nodes.unchanged(node_id), table.unchanged(node_id)  # before what is looked at
            known = table.get(node_id)
            if exists.revision and (known is None or (_is_newer(status, known) and _differs(known, status))):
                changes[node_id] = Change((table.put(node_id, status),), (exists, untold))
        return changes

    def _explained(self) -> dict[str, Change]:
        """Nodes that no manager works with, with the reason of the first that says one."""
        table = self._state.node_status
        with self._lock:
            refused = dict(self._refused)
        changes = {}
        for node_id, why in refused.items():
            exists, untold = self._state.nodes.unchanged(node_id), table.unchanged(node_id)  # before what is looked at
            known = table.get(node_id)
            if exists.revision and known is not None and known.state == "unreachable" and not known.message:
                told = table.put(node_id, msgspec.structs.replace(known, message=why))
                changes[node_id] = Change((told,), (exists, untold))
        return changes

    def _miss(self) -> float | None:
        """Show as unreachable who has been missed for long enough; returns the seconds until the next may be."""
        now, term = self._clock(), self._term()
        silent = dict(self._silent(term))
        with self._lock:  # who left while the store was written to is missed since then
            missed = {node_id: condition for node_id, condition in silent.items() if node_id not in self._followers}
            self._missed = {node_id: self._missed.get(node_id, now + UNREACHABLE_AFTER) for node_id in missed}
            due = {node_id for node_id, at in self._missed.items() if at <= now}
            later = [at - now for at in self._missed.values() if at > now]
        if self._write({node_id: change for node_id in due if (change := self._loss(node_id, missed[node_id]))}):
            return RETRY
        return min(later, default=None)

    def _loss(self, node_id: str, term: Expect | None) -> Change | None:
        table = self._state.node_status
        exists, untold = self._state.nodes.unchanged(node_id), table.unchanged(node_id)  # before what is looked at
        known = table.get(node_id)
        if known is None or known.state != "ready" or not exists.revision:
            return None
        lost = msgspec.structs.replace(known, state="unreachable", since=now_text())
        return Change((table.put(node_id, lost),), (exists, untold, *([term] if term else [])))

    def _silent(self, term: Expect | None) -> Iterator[tuple[str, Expect | None]]:
        """Nodes that the store calls ready and that this manager has to speak for, each with what that depends on: its
        own, and as the leader those whose manager is gone."""
        alive = self._state.alive.all()
        for node_id, status in self._state.node_status.all().items():
            if status.state == "ready" and status.manager == self._own.id:
                yield node_id, None
            elif status.state == "ready" and status.manager not in alive and term is not None:
                yield node_id, term

    def _write(self, changes: dict[str, Change]) -> set[str]:
        """Commit in batches; returns the names of those whose condition did not hold.

        It waits to read the own write, because what comes next is compared with what the store is known to have.
        """
        refused: set[str] = set()
        revision = 0
        for batch in batched(changes.items(), BATCH, strict=False):
            try:
                revision = self._commit([change for _, change in batch])
            except Conflict:
                # One of them was changed by somebody this moment; the others must not wait for it.
                for name, change in batch:
                    try:
                        revision = self._commit([change])
                    except Conflict:
                        log.info("%s: its owner changed while its status was written; looking again", name)
                        refused.add(name)
        await_copy(self._state.copy, revision)
        return refused

    def _commit(self, changes: list[Change]) -> int:
        operations = [operation for change in changes for operation in change.operations]
        expect = dict.fromkeys(condition for change in changes for condition in change.expect)
        return self._store.commit(operations, tuple(expect))


def _is_newer(own: NodeStatus, known: NodeStatus) -> bool:
    """Whether the node follows this manager, as far as turns tell; one that lost its count is believed in the end."""
    return known.turn <= own.turn or known.state == "unreachable"


def _differs(known: NodeStatus, status: NodeStatus) -> bool:
    """Anything but the time of a state that did not change."""
    return msgspec.structs.replace(known, since=status.since) != status
