"""Tells every follower what to run: everything when it begins to follow, afterwards only what changed."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec

from appliance.errors import ApplianceError
from appliance.link import orders
from appliance.link.assigned import Assigned, AssignmentOf
from appliance.link.messages import Gates, Orders, Peers
from appliance.link.telling import Outlet, Subscribe, Telling, whole
from appliance.loop import Loop
from appliance.model.instance import Assignment
from appliance.model.node import Peer
from appliance.model.secret import secrets_used
from appliance.store import keys
from appliance.store.state import State

log = logging.getLogger(__name__)

Unseal = Callable[[str, str, int], str]
"""(service, name, version) → the secret's plain text; raises ApplianceError."""
GatesFor = Callable[[State], dict[str, int]]
"""Service → the highest rank that may start; those that wait for nothing are left out. Pure."""


def peers_telling(state: State, outlet: Outlet) -> Telling[Peers]:
    """A component: tells every node of all the others, but not of one whose key somebody else may have by now."""

    def wanted(state: State) -> Callable[[str], Peers]:
        statuses = state.node_status.all()
        revoked = {key.node for key in state.revoked.all().values()}
        peers = tuple(
            Peer(node=node.id, number=node.number, address=node.address, vtep_mac=statuses[node.id].vtep_mac)
            for node in state.nodes.all().values()
            if node.id in statuses and statuses[node.id].vtep_mac and node.id not in revoked
        )
        cluster = state.cluster()
        now = Peers(peers=peers, time_servers=cluster.time_servers if cluster else ())
        return lambda node_id: now

    tables: list[Subscribe] = [
        state.nodes.subscribe,
        state.node_status.subscribe,
        state.revoked.subscribe,
        partial(state.copy.subscribe, keys.CLUSTER),
    ]
    return Telling("peers", state, outlet, tables, wanted, whole)


class Dispatch:
    """A component. `greet` is called when a node follows this manager from now on and expects everything.

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
        self._sent_gates: dict[str, Gates] = {}
        self._complaints: set[str] = set()
        self._lock = threading.Lock()
        self._loop = Loop("dispatch", self.cycle)

    def start(self) -> None:
        state = self._state
        tables = (
            state.instances,
            state.bindings,
            state.revisions,
            state.node_status,
            state.instance_status,
            state.alive,
        )
        self._loop.follow(*(table.subscribe for table in tables))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def greet(self, node_id: str) -> None:
        with self._lock:
            self._sent.pop(node_id, None)
            self._sent_gates.pop(node_id, None)
        self._loop.wake()

    def cycle(self) -> None:
        """Bring every follower up to date with the state as it is now."""
        followers = self._outlet.followers()  # first: what they have seen is in the state by now
        stamp = self._state.stamp()
        wanted = self._assigned.by_node()
        gates = self._gates_for(self._state)
        with self._lock:  # the others are greeted before they are told anything again
            self._sent = {node_id: sent for node_id, sent in self._sent.items() if node_id in followers}
            self._sent_gates = {node_id: sent for node_id, sent in self._sent_gates.items() if node_id in followers}
        for node_id in followers:
            mine = wanted.get(node_id, {})
            for message in (*self._gates(node_id, mine, gates), *self._orders(node_id, mine)):
                self._outlet.send(node_id, msgspec.structs.replace(message, stamp=stamp))

    def _orders(self, node_id: str, wanted: Mapping[str, Assignment | None]) -> Iterator[Orders]:
        told = {name: value for name, value in wanted.items() if value is not None}
        unknown = tuple(name for name in wanted if name not in told)
        with self._lock:
            sent = self._sent.get(node_id)
            kept = {name: sent[name] for name in unknown if name in sent} if sent else {}
            self._sent[node_id] = told | kept
        if sent is None:
            return orders.everything(tuple(told.values()), unknown, self._secrets_of)
        changed = tuple(value for name, value in told.items() if sent.get(name) is not value)
        gone = tuple(name for name in sent if name not in wanted)
        return orders.changes(changed, gone, self._secrets_of)

    def _gates(
        self, node_id: str, wanted: Mapping[str, Assignment | None], gates: Mapping[str, int]
    ) -> tuple[Gates, ...]:
        """Those of services that the node runs something of, where they are news."""
        services = {name.partition("/")[0] for name in wanted}
        mine = Gates(open={service: gates[service] for service in sorted(services & gates.keys())})
        with self._lock:
            before = self._sent_gates.get(node_id)
            self._sent_gates[node_id] = mine
        return whole(before, mine)

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
