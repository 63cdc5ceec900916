"""Carries out the steps of a rotation of the authorities (`model/rotation.py`), on every manager.

What is to be done follows from the store and the disk alone, so whatever is killed in between, the next cycle goes on.
"""

import logging
from collections.abc import Callable, Iterator

import msgspec

from appliance.delivery import authorities
from appliance.host.layout import Layout
from appliance.loop import Loop
from appliance.model.decoding import decode
from appliance.model.rotation import NewKeys, Rotation, missing, whose_turn
from appliance.security.sealing import Seal
from appliance.store import keys
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import Expect, Store

log = logging.getLogger(__name__)

SEALED = "the new authorities"
"""What their keys are sealed as."""
LOOK_AGAIN = 2.0
"""Seconds between two looks while there is a rotation."""


class Rotating:
    """A component. `start_etcd` starts this manager's etcd anew and returns when it runs; `changed` is called after the
    authorities on the disk have changed."""

    name = "rotating"

    def __init__(
        self,
        layout: Layout,
        node_id: str,
        store: Store,
        state: State,
        term: Callable[[], Expect | None],
        seal: Seal,
        start_etcd: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._layout = layout
        self._node_id = node_id
        self._store = store
        self._state = state
        self._term = term
        self._seal = seal
        self._start_etcd = start_etcd
        self._changed = changed
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        self._loop.follow(lambda wake: self._state.copy.subscribe(keys.ROTATION, wake))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """This manager may lead now, or has other certificates."""
        self._loop.wake()

    def cycle(self) -> float | None:
        rotation = self._state.rotation()
        if rotation is None:
            return None
        new = decode(self._seal.unseal(rotation.sealed, SEALED), NewKeys)
        if authorities.install(self._layout, rotation, new):
            log.info("authorities: %s", rotation.step)
            self._changed()
        self._record()
        if authorities.etcd_is_to_start_anew(self._layout) and self._may_start_etcd(rotation):
            log.info("etcd is started anew, to believe other authorities")
            self._start_etcd()
            authorities.etcd_was_started(self._layout)
            self._record()
        self._go_on(rotation)
        return LOOK_AGAIN

    def _may_start_etcd(self, rotation: Rotation) -> bool:
        turn = whose_turn(rotation, self._state.nodes.all(), self._state.manager_trust.all())
        return turn in (self._node_id, "")

    def _record(self) -> None:
        now, table = authorities.own_trust(self._layout, self._node_id), self._state.manager_trust
        if table.get(self._node_id) != now:
            await_copy(self._state.copy, self._store.commit([table.put(self._node_id, now)]))

    def _go_on(self, rotation: Rotation) -> None:
        """The leader begins the next step when nothing is missing; the last but one is ended by a person."""
        term, state = self._term(), self._state
        if term is None or rotation.step == "signing" or missing_now(state, rotation):
            return
        still = state.rotation_cell.still(rotation)
        done = Change((state.rotation_cell.delete(),), (still,))
        changes = [done] if rotation.step == "dropping" else self._signing(rotation, still)
        commit_as_leader(self._store, state.copy, term, changes)

    def _signing(self, rotation: Rotation, still: Expect) -> Iterator[Change]:
        """A token carries the fingerprint of the authority that signed when it was made: it is worth nothing then.

        There is one for every node that has ever joined, which is more than one commit takes; the step comes last.
        """
        state = self._state
        for token in state.tokens.all():
            yield Change((state.tokens.delete(token),), (still,))
        cluster = state.cluster()
        assert cluster is not None, "a rotation is of a cluster"
        now = msgspec.structs.replace(cluster, ca_fingerprint=rotation.fingerprint)
        step = state.rotation_cell.put(msgspec.structs.replace(rotation, step="signing"))
        yield Change((step, state.cluster_cell.put(now)), (still, state.cluster_cell.still(cluster)))


def missing_now(state: State, rotation: Rotation) -> list[str]:
    """What the rotation waits for, a sentence each."""
    nodes, statuses = state.nodes.all(), state.node_status.all()
    return missing(rotation, nodes, statuses, state.node_trust.all(), state.manager_trust.all())
