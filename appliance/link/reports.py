"""Writes what nodes report into the store: latest value only, in batches, and only a node's own instances."""

import logging
import threading
import time
from collections.abc import Callable
from itertools import batched

from appliance.errors import Conflict
from appliance.link.messages import Hello, Report
from appliance.loop import Loop
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.instance import InstanceStatus
from appliance.model.moment import now_text
from appliance.model.node import NodeState, NodeStatus
from appliance.store.state import Change, State, await_copy
from appliance.store.store import Store

log = logging.getLogger(__name__)

BATCH = 60
"""Statuses in one commit, each an operation and a condition."""
RETRY = 0.2
"""Seconds until a status is tried again that met a conflict."""
UNREACHABLE_AFTER = 25.0
"""Seconds without a link before a node that was ready is shown as unreachable."""


class Reports:
    """A component; its `hello`, `report` and `gone` are the link's callbacks, from any thread."""

    name = "reports"

    def __init__(self, state: State, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._state = state
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._instances: dict[str, InstanceStatus] = {}
        self._nodes: dict[str, NodeStatus] = {}
        self._connected: set[str] = set()
        self._started = 0.0
        self._loop = Loop("reports", self.cycle, interval=UNREACHABLE_AFTER)

    def start(self) -> None:
        self._started = self._clock()
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def hello(self, node_id: str, message: Hello) -> None:
        status = NodeStatus(id=node_id, state="ready", since=now_text(), facts=message.facts, vtep_mac=message.vtep_mac)
        with self._lock:
            self._nodes[node_id] = status
            self._connected.add(node_id)
        self.report(node_id, Report(statuses=message.statuses))

    def report(self, node_id: str, message: Report) -> None:
        own = {status.instance: status for status in message.statuses if status.node == node_id}
        with self._lock:
            self._instances.update(own)
        self._loop.wake()

    def gone(self, node_id: str) -> None:
        """The node's link has ended; its instances keep running, for all we know."""
        with self._lock:
            self._connected.discard(node_id)
            known = self._nodes.get(node_id) or self._state.node_status.get(node_id)
            if known is not None:
                self._nodes[node_id] = _in_state(known, "unreachable")
        self._loop.wake()

    def cycle(self) -> float | None:
        """Write what is waiting. What a conflict or an outage kept from being written stays waiting."""
        with self._lock:
            nodes, instances = dict(self._nodes), dict(self._instances)
            silent = self._silent_nodes()
        refused = self._write(self._node_changes(nodes | silent))
        refused |= self._write(self._instance_changes(instances))
        with self._lock:
            self._nodes = {k: v for k, v in self._nodes.items() if k in refused or v is not nodes.get(k)}
            self._instances = {k: v for k, v in self._instances.items() if k in refused or v is not instances.get(k)}
        return RETRY if refused else None

    def _silent_nodes(self) -> dict[str, NodeStatus]:
        """Nodes that the store calls ready but that have not come back since this manager started."""
        if self._clock() - self._started < UNREACHABLE_AFTER:
            return {}
        return {
            node_id: _in_state(status, "unreachable")
            for node_id, status in self._state.node_status.all().items()
            if status.state == "ready" and node_id not in self._connected and node_id not in self._nodes
        }

    def _node_changes(self, nodes: dict[str, NodeStatus]) -> dict[str, Change]:
        """What is news about nodes that exist; each holds only as long as its node does."""
        table = self._state.node_status
        changes = {}
        for node_id, status in nodes.items():
            exists = self._state.nodes.unchanged(node_id)  # asked first: what changes from here on is a conflict
            known = table.get(node_id)
            if exists.revision and (known is None or _differs(known, status)):
                changes[node_id] = Change((table.put(node_id, status),), (exists,))
        return changes

    def _instance_changes(self, instances: dict[str, InstanceStatus]) -> dict[str, Change]:
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
            if owned.revision and table.get(name) != status:
                changes[name] = Change((table.put(name, status),), (owned,))
        return changes

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


def _in_state(status: NodeStatus, state: NodeState) -> NodeStatus:
    since = status.since if status.state == state else now_text()
    return NodeStatus(id=status.id, state=state, since=since, facts=status.facts, vtep_mac=status.vtep_mac)


def _differs(known: NodeStatus, status: NodeStatus) -> bool:
    """Anything but the time of a state that did not change."""
    return (known.state, known.facts, known.vtep_mac) != (status.state, status.facts, status.vtep_mac)
