"""Tells every connected node what to run: everything when it says hello, afterwards only what changed."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from appliance.link.messages import FromManager, Orders, Peers
from appliance.loop import Loop
from appliance.model.instance import Assignment
from appliance.model.node import Peer
from appliance.store.state import State

log = logging.getLogger(__name__)

AssignmentsFor = Callable[[str, State], dict[str, Assignment]]
"""(node id, state) → what that node has to run, by instance name. Pure."""


class Outlet(Protocol):
    """The manager's end of the links."""

    def send(self, node_id: str, message: FromManager) -> None: ...

    def connected(self) -> set[str]: ...


class Dispatch:
    """A component. `greet` is called when a node has said hello and expects everything."""

    name = "dispatch"

    def __init__(self, state: State, outlet: Outlet, assignments_for: AssignmentsFor) -> None:
        self._state = state
        self._outlet = outlet
        self._assignments_for = assignments_for
        self._sent: dict[str, dict[str, Assignment]] = {}
        self._sent_peers: dict[str, Peers] = {}
        self._lock = threading.Lock()
        self._loop = Loop("dispatch", self.cycle)
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        state = self._state
        for table in (state.instances, state.bindings, state.revisions, state.nodes, state.node_status):
            self._unsubscribe.append(table.subscribe(self._loop.wake))
        self._loop.start()

    def stop(self) -> None:
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._loop.stop()

    def greet(self, node_id: str) -> None:
        with self._lock:
            self._sent.pop(node_id, None)
            self._sent_peers.pop(node_id, None)
        self._loop.wake()

    def cycle(self) -> None:
        """Bring every connected node up to date with the state as it is now."""
        connected = self._outlet.connected()
        peers = self._peers()
        for node_id in connected:
            self._send_peers(node_id, peers)
            self._send_orders(node_id)

    def _send_orders(self, node_id: str) -> None:
        wanted = self._assignments_for(node_id, self._state)
        with self._lock:
            sent = self._sent.get(node_id)
            self._sent[node_id] = wanted
        if sent is None:
            self._outlet.send(node_id, Orders(full=True, assignments=tuple(wanted.values())))
            return
        changed = tuple(value for name, value in wanted.items() if sent.get(name) != value)
        gone = tuple(name for name in sent if name not in wanted)
        if changed or gone:
            self._outlet.send(node_id, Orders(full=False, assignments=changed, forget=gone))

    def _send_peers(self, node_id: str, peers: Peers) -> None:
        with self._lock:
            if self._sent_peers.get(node_id) == peers:
                return
            self._sent_peers[node_id] = peers
        self._outlet.send(node_id, peers)

    def _peers(self) -> Peers:
        statuses = self._state.node_status.all()
        peers = tuple(
            Peer(node=node.id, number=node.number, address=node.address, vtep_mac=statuses[node.id].vtep_mac)
            for node in self._state.nodes.all().values()
            if node.id in statuses and statuses[node.id].vtep_mac
        )
        names = {name: binding.ip for name, binding in self._state.bindings.all().items()}
        return Peers(peers=peers, names=names)
