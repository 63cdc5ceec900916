"""Addresses that change: what nodes say of their own, and what every node must know of its own and the managers'.

A node that moved says so in its hello; its certificate, which is for its id and not for an address, proves that it may.
Every connected node hears its own address and the managers' whenever one of them is news.
"""

import ipaddress
import logging
import threading
from collections.abc import Callable

import msgspec

from appliance.errors import ApplianceError, Conflict, UsageError
from appliance.link.messages import Whereabouts
from appliance.link.seldom import Seldom
from appliance.link.telling import Outlet, Telling, whole
from appliance.loop import Loop
from appliance.model.cluster import HTTPS_PORT, LINK_PORT
from appliance.model.node import NodeSpec
from appliance.store.state import State
from appliance.store.store import Delete, Expect, Put, Store

log = logging.getLogger(__name__)

LOOK_AGAIN = 2.0
"""Seconds until an address is tried again that could not be written."""


def whereabouts_telling(state: State, outlet: Outlet) -> Telling[Whereabouts | None]:
    """A component: tells every node its own address and the managers'."""

    def wanted(state: State) -> Callable[[str], Whereabouts | None]:
        nodes = state.nodes.all()
        managers = tuple(f"{node.address}:{LINK_PORT}" for node in nodes.values() if "manager" in node.roles)
        return lambda node_id: (
            Whereabouts(address=nodes[node_id].address, managers=managers) if node_id in nodes else None
        )

    def news(before: Whereabouts | None, now: Whereabouts | None) -> tuple[Whereabouts, ...]:
        return () if now is None else whole(before, now)

    return Telling("whereabouts", state, outlet, [state.nodes.subscribe], wanted, news)


class Movers:
    """A component: writes down where nodes moved to. `said`: a node said in its hello where it is now, "" : where it
    was."""

    name = "movers"

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._said: dict[str, str] = {}
        self._refusals = Seldom()
        self._lock = threading.Lock()
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def said(self, node_id: str, address: str) -> None:
        with self._lock:
            self._said.pop(node_id, None)
            if address:
                self._said[node_id] = address
        self._loop.wake()

    def cycle(self) -> float | None:
        with self._lock:
            said = dict(self._said)
        failed = [node_id for node_id, address in said.items() if not self._move(node_id, address)]
        return LOOK_AGAIN if failed else None

    def _move(self, node_id: str, address: str) -> bool:
        node = self._state.nodes.get(node_id)
        try:
            if node is not None and node.address != address:
                revision = self._store.commit(*moving(self._state, node, address))
                self._state.copy.wait_for(revision, 5.0)
                log.info("%s moved from %s to %s", node.name, node.address, address)
        except ApplianceError as error:
            if self._refusals.is_news(f"{node_id} {address} {error}"):  # it may be in the way for months
                log.warning("%s says that it moved to %s: %s", node_id, address, error)
            return False
        with self._lock:
            if self._said.get(node_id) == address:
                del self._said[node_id]
        return True


def moving(state: State, node: NodeSpec, address: str) -> tuple[list[Put | Delete], list[Expect]]:
    """What to write, and on which condition, when a node gets another address; with a manager the page's moves along.

    Raises UsageError for what is no address, Conflict when another node has it. Pure.
    """
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise UsageError(f"{address!r} is no address of a host.", why="an IPv4 address is needed") from error
    owner = next((n.name for n in state.nodes.all().values() if n.address == address and n.id != node.id), "")
    if owner:
        raise Conflict(f"{owner} has the address {address}.", next=f"give {owner} another one first")
    puts: list[Put | Delete] = [state.nodes.put(node.id, msgspec.structs.replace(node, address=address))]
    expect = [state.nodes.still(node.id, node)]
    unchanged, cluster = state.cluster_cell.unchanged(), state.cluster()
    if cluster is not None and cluster.url == _page(node.address):
        puts.append(state.cluster_cell.put(msgspec.structs.replace(cluster, url=_page(address))))
        expect.append(unchanged)
    return puts, expect


def _page(address: str) -> str:
    return f"https://{address}:{HTTPS_PORT}/"
