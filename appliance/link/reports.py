"""Writes what nodes report into the store: latest value only, in batches, and only a node's own instances."""

import logging
import threading
import time
from datetime import UTC, datetime

from appliance.errors import Conflict
from appliance.link.messages import Hello, Report
from appliance.loop import Loop
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.instance import InstanceStatus
from appliance.model.node import NodeState, NodeStatus
from appliance.store.state import State
from appliance.store.store import Expect, Put, Store

log = logging.getLogger(__name__)

BATCH = 60
"""Statuses in one commit: each needs an operation and a condition."""
UNREACHABLE_AFTER = 25.0
"""Seconds without a link before a node that was ready is shown as unreachable."""


class Reports:
    """A component; its `hello`, `report` and `gone` are the link's callbacks, from any thread."""

    name = "reports"

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._lock = threading.Lock()
        self._instances: dict[str, InstanceStatus] = {}
        self._nodes: dict[str, NodeStatus] = {}
        self._connected: set[str] = set()
        self._started = 0.0
        self._loop = Loop("reports", self.cycle, interval=UNREACHABLE_AFTER)

    def start(self) -> None:
        self._started = time.monotonic()
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def hello(self, node_id: str, message: Hello) -> None:
        status = NodeStatus(id=node_id, state="ready", since=_now(), facts=message.facts, vtep_mac=message.vtep_mac)
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

    def cycle(self) -> None:
        """Write what is waiting. What a conflict or an outage kept from being written stays waiting."""
        with self._lock:
            nodes, instances = dict(self._nodes), dict(self._instances)
            nodes |= self._silent_nodes()
        self._write_nodes(nodes)
        pending = [status for status in instances.values() if self._is_news(status)]
        for begin in range(0, len(pending), BATCH):
            self._write(pending[begin : begin + BATCH])
        with self._lock:
            self._nodes = {name: value for name, value in self._nodes.items() if nodes.get(name) is not value}
            self._instances = {k: v for k, v in self._instances.items() if instances.get(k) is not v}

    def _silent_nodes(self) -> dict[str, NodeStatus]:
        """Nodes that the store calls ready but that have not come back since this manager started."""
        if time.monotonic() - self._started < UNREACHABLE_AFTER:
            return {}
        return {
            node_id: _in_state(status, "unreachable")
            for node_id, status in self._state.node_status.all().items()
            if status.state == "ready" and node_id not in self._connected and node_id not in self._nodes
        }

    def _write_nodes(self, nodes: dict[str, NodeStatus]) -> None:
        table = self._state.node_status
        puts = []
        for node_id, status in nodes.items():
            known = table.get(node_id)
            if self._state.nodes.get(node_id) is not None and (known is None or _differs(known, status)):
                puts.append(table.put(node_id, status))
        if puts:
            self._store.commit(puts)

    def _is_news(self, status: InstanceStatus) -> bool:
        return self._state.instance_status.get(status.instance) != status

    def _write(self, statuses: list[InstanceStatus]) -> None:
        operations: list[Put] = []
        expect: list[Expect] = []
        for status in statuses:
            if not status.instance.startswith(f"{SYSTEM_SERVICE}/"):
                binding = self._state.bindings.get(status.instance)
                if binding is None or binding.node != status.node:
                    continue  # not this node's to report: forgotten meanwhile, or moved
                expect.append(self._state.bindings.unchanged(status.instance))
            operations.append(self._state.instance_status.put(status.instance, status))
        if not operations:
            return
        try:
            self._store.commit(operations, expect)
        except Conflict:
            if len(statuses) == 1:
                log.info("%s: its binding changed while its status was written", statuses[0].instance)
                return
            # One of them was unbound this moment; the others must not wait for it.
            for status in statuses:
                self._write([status])


def _in_state(status: NodeStatus, state: NodeState) -> NodeStatus:
    since = status.since if status.state == state else _now()
    return NodeStatus(id=status.id, state=state, since=since, facts=status.facts, vtep_mac=status.vtep_mac)


def _differs(known: NodeStatus, status: NodeStatus) -> bool:
    """Anything but the time of a state that did not change."""
    return (known.state, known.facts, known.vtep_mac) != (status.state, status.facts, status.vtep_mac)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
