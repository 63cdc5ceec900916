"""Brings etcd's members in line with the nodes that are to be managers; only the leading manager changes them.

Every manager looks, because each answers for the state of all, and only the one that a node follows can tell it.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.errors import Unavailable
from appliance.loop import Loop
from appliance.model.cluster import etcd_peer_url
from appliance.model.node import NodeSpec
from appliance.orchestrator.managers import (
    Add,
    Equip,
    Promote,
    Remove,
    Retire,
    Seen,
    Step,
    TurnLink,
    etcd_states,
    next_steps,
    owner_of,
)
from appliance.store.membership import Member, Membership
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import Expect, Store

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two looks at the members."""
LOOK_AGAIN = 1.0
"""The same, while there is something to do."""


class Nodes(Protocol):
    """How nodes are told; a message that is lost is sent again."""

    def followers(self) -> set[str]:
        """Those that listen to this manager."""
        ...

    def equip(self, node: str, member: Member, peers: dict[str, str]) -> None:
        """`peers`: the other members, name → URL."""
        ...

    def retire(self, node: NodeSpec) -> None: ...


class Managers:
    """A component."""

    name = "managers"

    def __init__(
        self,
        store: Store,
        state: State,
        term: Callable[[], Expect | None],
        membership: Membership,
        nodes: Nodes,
    ) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._membership = membership
        self._nodes = nodes
        self._seen = Seen()
        self._loop = Loop(self.name, self.cycle, interval=LOOK, longest_backoff=LOOK)

    def start(self) -> None:
        self._loop.follow(self._state.nodes.subscribe, self._state.node_status.subscribe)
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        self._loop.wake()

    def etcd_states(self) -> dict[str, str]:
        """As of the last look."""
        return etcd_states(self._state.nodes.all(), self._seen)

    def look(self) -> Seen:
        """The members as they are now; takes a second or two when one of them does not answer."""
        members = self._membership.list()
        return Seen(members, self._membership.troubles(members))

    def cycle(self) -> float | None:
        """Look, and do the next steps: any manager tells those that follow it, the leading one does all else."""
        self._seen = seen = self.look()
        term = self._term()
        if term is not None:
            await_copy(self._state.copy, term.revision)
        steps = next_steps(self._state.nodes.all(), self._state.node_status.all(), seen)
        for step in steps:
            try:
                self._do(step, seen, term)
            except Unavailable as early:  # not caught up yet, or the change before is too fresh: the next look decides
                log.debug("%s %s", early.what, early.why)
        return LOOK_AGAIN if steps else None

    def _do(self, step: Step, seen: Seen, term: Expect | None) -> None:
        match step:
            case Equip(node_id, member):
                if node_id in self._nodes.followers():
                    peers = {_name(each, self._state): each.peer_url for each in seen.members if each.id != member.id}
                    self._nodes.equip(node_id, member, peers)
            case Retire(node):
                if node.id in self._nodes.followers():
                    self._nodes.retire(node)
            case _:
                if term is not None:
                    self._lead(step, term)

    def _lead(self, step: Add | TurnLink | Promote | Remove, term: Expect) -> None:
        match step:
            case Add(node):
                self._membership.add_learner(etcd_peer_url(node.address))
                log.info("%s becomes a manager: its etcd is a learner from now on", node.name)
            case TurnLink(node):
                turned = self._state.nodes.put(node.id, msgspec.structs.replace(node, dial="agent"))
                change = Change((turned,), (self._state.nodes.still(node.id, node),))
                commit_as_leader(self._store, self._state.copy, term, [change])
            case Promote(member):
                self._membership.promote(member.id)
                log.info("member %x of etcd (%s) has caught up and has a vote now", member.id, member.name)
            case Remove(member, why):
                log.info("member %x of etcd (%s) is removed: %s", member.id, member.name or member.peer_url, why)
                self._membership.remove(member.id)


def _name(member: Member, state: State) -> str:
    return member.name or owner_of(member, state.nodes.all()) or f"{member.id:x}"
