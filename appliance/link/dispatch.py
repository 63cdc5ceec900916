"""Tells every connected node what to run: everything when it says hello, afterwards only what changed."""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from appliance.errors import ApplianceError
from appliance.link import orders
from appliance.link.assigned import Assigned, AssignmentOf
from appliance.link.messages import FromManager, Gates, Peers
from appliance.loop import Loop
from appliance.model.instance import Assignment
from appliance.model.node import Peer
from appliance.model.secret import secrets_used
from appliance.store import keys
from appliance.store.state import State

log = logging.getLogger(__name__)

Unseal = Callable[[str, str, int], str]
"""(service, name, version) → the secret's plain text; raises ApplianceError."""
GatesFor = Callable[[State, set[str]], dict[str, int]]
"""(state, nodes that have said hello) → service → the highest rank that may start; those that wait for nothing are
left out. Pure."""


class Outlet(Protocol):
    """The manager's end of the links."""

    def send(self, node_id: str, message: FromManager) -> None: ...

    def connected(self) -> set[str]: ...


class Dispatch:
    """A component. `greet` is called when a node has said hello and expects everything.

    A secret that cannot be told is left out, once with a word in the log: the node says which one it waits for.
    """

    name = "dispatch"

    def __init__(
        self, state: State, outlet: Outlet, assignment_of: AssignmentOf, unseal: Unseal, gates_for: GatesFor
    ) -> None:
        self._state = state
        self._outlet = outlet
        self._assigned = Assigned(state, assignment_of)
        self._unseal = unseal
        self._gates_for = gates_for
        self._sent: dict[str, dict[str, Assignment]] = {}
        self._sent_peers: dict[str, Peers] = {}
        self._sent_gates: dict[str, Gates] = {}
        self._peers = Peers(peers=())
        self._greeted: set[str] = set()
        self._complaints: set[str] = set()
        self._lock = threading.Lock()
        self._loop = Loop("dispatch", self.cycle)

    def start(self) -> None:
        state = self._state
        tables = (
            state.instances,
            state.bindings,
            state.revisions,
            state.nodes,
            state.node_status,
            state.instance_status,
        )
        self._loop.follow(*(table.subscribe for table in tables))
        self._loop.follow(partial(state.copy.subscribe, keys.CLUSTER))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def greet(self, node_id: str) -> None:
        with self._lock:
            self._greeted.add(node_id)
            for sent in (self._sent, self._sent_peers, self._sent_gates):
                sent.pop(node_id, None)
        self._loop.wake()

    def cycle(self) -> None:
        """Bring every connected node up to date with the state as it is now."""
        connected = self._outlet.connected()
        with self._lock:
            self._greeted &= connected
            greeted = set(self._greeted)
        wanted = self._assigned.by_node()
        gates = self._gates_for(self._state, greeted)
        self._update_peers()
        for node_id in connected:
            mine = wanted.get(node_id, {})
            self._send_peers(node_id)
            self._send_gates(node_id, mine, gates)
            self._send_orders(node_id, mine)

    def _send_orders(self, node_id: str, wanted: Mapping[str, Assignment | None]) -> None:
        told = {name: value for name, value in wanted.items() if value is not None}
        unknown = tuple(name for name in wanted if name not in told)
        with self._lock:
            sent = self._sent.get(node_id)
            kept = {name: sent[name] for name in unknown if name in sent} if sent else {}
            self._sent[node_id] = told | kept
        if sent is None:
            messages = orders.everything(tuple(told.values()), unknown, self._secrets_of)
        else:
            changed = tuple(value for name, value in told.items() if sent.get(name) is not value)
            gone = tuple(name for name in sent if name not in wanted)
            messages = orders.changes(changed, gone, self._secrets_of)
        for message in messages:
            self._outlet.send(node_id, message)

    def _send_gates(self, node_id: str, wanted: Mapping[str, Assignment | None], gates: Mapping[str, int]) -> None:
        """Those of services that the node runs something of."""
        services = {name.partition("/")[0] for name in wanted}
        mine = Gates(open={service: gates[service] for service in sorted(services & gates.keys())})
        with self._lock:
            if self._sent_gates.get(node_id) == mine:
                return
            self._sent_gates[node_id] = mine
        self._outlet.send(node_id, mine)

    def _send_peers(self, node_id: str) -> None:
        with self._lock:
            if self._sent_peers.get(node_id) is self._peers:
                return
            self._sent_peers[node_id] = self._peers
        self._outlet.send(node_id, self._peers)

    def _update_peers(self) -> None:
        """The same object as long as nothing changes."""
        statuses = self._state.node_status.all()
        peers = tuple(
            Peer(node=node.id, number=node.number, address=node.address, vtep_mac=statuses[node.id].vtep_mac)
            for node in self._state.nodes.all().values()
            if node.id in statuses and statuses[node.id].vtep_mac
        )
        cluster = self._state.cluster()
        now = Peers(peers=peers, time_servers=cluster.time_servers if cluster else ())
        if now != self._peers:
            self._peers = now

    def _secrets_of(self, assignment: Assignment) -> dict[str, str]:
        found = {}
        for reference, (name, version) in secrets_used(assignment).items():
            try:
                found[reference] = self._unseal(assignment.service, name, version)
            except ApplianceError as error:
                if reference not in self._complaints:
                    self._complaints.add(reference)
                    log.error("%s cannot be told to its nodes: %s %s", reference, error.what, error.why)
        return found
