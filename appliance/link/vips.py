"""Tells nodes which virtual addresses they may hold, and keeps who holds them: more than one is an alarm."""

import threading
import time
from collections.abc import Callable, Iterable

from appliance.link.messages import Held, Vips
from appliance.link.telling import Outlet, Telling, whole
from appliance.loop import Loop
from appliance.model.moment import now_text
from appliance.model.vip import VipPlan, VipStatus
from appliance.store.state import Change, State, commit_as_leader
from appliance.store.store import Expect, Store

SETTLED = 2.0
"""Seconds for which the holders of an address stay the same until that is written: while it moves there may be two."""


def vip_telling(state: State, outlet: Outlet, plans_of: Callable[[State], tuple[VipPlan, ...]]) -> Telling[Vips]:
    """A component. `plans_of` works the addresses out from the state. Pure."""

    def wanted(state: State) -> Callable[[str], Vips]:
        plans = plans_of(state)
        return lambda node_id: Vips(vips=tuple(p for p in plans if node_id in {each.node for each in p.candidates}))

    return Telling("vips", state, outlet, [state.vips.subscribe, state.nodes.subscribe], wanted, whole)


class VipHolders:
    """A component; `heard` and `gone` are the link's callbacks. The leading manager writes what it knows."""

    name = "vip-holders"

    def __init__(
        self,
        store: Store,
        state: State,
        term: Callable[[], Expect | None],
        plans_of: Callable[[State], tuple[VipPlan, ...]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`term`: the condition that this manager leads, None while it does not."""
        self._store = store
        self._state = state
        self._term = term
        self._plans_of = plans_of
        self._clock = clock
        self._held: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, tuple[tuple[str, ...], float]] = {}
        self._lock = threading.Lock()
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        tables = (self._state.vips, self._state.nodes)
        self._loop.follow(*(table.subscribe for table in tables))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        self._loop.wake()

    def heard(self, node_id: str, message: Held) -> None:
        with self._lock:
            self._held[node_id] = message.vips
        self._loop.wake()

    def gone(self, node_id: str) -> None:
        """What a node holds that cannot be reached, nobody knows."""
        with self._lock:
            self._held.pop(node_id, None)
        self._loop.wake()

    def cycle(self) -> float | None:
        """Write what has settled; returns the seconds until something may have."""
        term = self._term()
        if term is None:
            return None
        now, table = self._clock(), self._state.vip_status
        owners = self._owners(plan.address for plan in self._plans_of(self._state))
        self._seen = {
            address: before if (before := self._seen.get(address)) and before[0] == holding else (holding, now)
            for address, holding in owners.items()
        }
        changes = [Change((table.delete(address),)) for address in table.all() if address not in owners]
        waits = []
        for address, (holding, since) in self._seen.items():
            known = table.get(address)
            if known is not None and known.owners == holding:
                continue
            if now - since < SETTLED:
                waits.append(SETTLED - (now - since))
                continue
            status = VipStatus(address=address, owners=holding, since=now_text())
            changes.append(Change((table.put(address, status),)))
        commit_as_leader(self._store, self._state.copy, term, changes)
        return min(waits, default=None)

    def _owners(self, addresses: Iterable[str]) -> dict[str, tuple[str, ...]]:
        with self._lock:
            held = dict(self._held)
        return {address: tuple(sorted(node for node, vips in held.items() if address in vips)) for address in addresses}
