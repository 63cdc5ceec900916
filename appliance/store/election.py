"""Which manager leads: the one that holds the leadership key, by a lease that it keeps renewing.

A leader adds `term()` to the conditions of every commit it makes as leader. One that was paused past its lease finds
its key gone, so none of its late writes happen: that, not its own belief, is what keeps two leaders apart.
"""

import logging
import threading
from collections.abc import Callable

from appliance.errors import Conflict, Refused
from appliance.loop import Loop
from appliance.store import keys
from appliance.store.store import Expect, Put, Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 10
_PAUSE = LEASE_SECONDS / 3
"""Seconds between two cycles, also while the store is out: a longer pause would let the lease end after an outage."""


class Election:
    """A component. `on_change` is called, from the election's thread, when this manager starts or stops leading.

    One that may not lead (any more), as `may_lead` says, neither tries nor keeps what it has. `watch` calls back after
    every change of the leadership key, until what it returns is called: the next leader need not wait for a cycle.
    """

    name = "election"

    def __init__(
        self,
        store: Store,
        manager_id: str,
        on_change: Callable[[], None],
        may_lead: Callable[[], bool] = lambda: True,
        watch: Callable[[Callable[[], None]], Callable[[], None]] = lambda wake: lambda: None,
    ) -> None:
        self._store = store
        self._manager = manager_id
        self._on_change = on_change
        self._may_lead = may_lead
        self._watch = watch
        self._lock = threading.Lock()
        self._lease = 0
        self._term: Expect | None = None
        self._loop = Loop("election", self.cycle, interval=_PAUSE, longest_backoff=_PAUSE)

    def start(self) -> None:
        self._loop.follow(self._watch)
        self._loop.start()

    def stop(self) -> None:
        """Also gives the leadership back, so that another manager need not wait for the lease."""
        self._loop.stop()
        self._give_back()

    def term(self) -> Expect | None:
        """The condition under which a leader writes; None while this manager does not lead."""
        with self._lock:
            return self._term

    def cycle(self) -> None:
        """Renew what we hold, or try to get it. The lease is kept only while leading."""
        if self._lease and not self._store.renew(self._lease):
            log.warning("election: the lease expired before it was renewed")
            self._lose()
        if not self._may_lead():
            self._give_back()
            return
        holder = self._store.get(keys.LEADER)
        if holder is None:
            self._campaign()
        elif self._term is not None and holder.revision != self._term.revision:
            self._lose()

    def _give_back(self) -> None:
        lease = self._lease
        if lease:
            self._lose()
            self._store.revoke(lease)

    def _campaign(self) -> None:
        # A commit whose answer is lost may have made us leader without our knowing its revision. That lease is never
        # renewed, so the key it may hold is gone after LEASE_SECONDS and somebody is elected.
        lease = self._store.grant(LEASE_SECONDS)
        try:
            put = Put(keys.LEADER, self._manager.encode(), lease)
            revision = self._store.commit([put], [Expect(keys.LEADER, 0)])
        except (Conflict, Refused):
            self._store.revoke(lease)
            return  # somebody else was quicker, or our lease ran out on the way; the next cycle looks again
        self._lease = lease
        with self._lock:
            self._term = Expect(keys.LEADER, revision)
        log.info("election: %s leads", self._manager)
        self._on_change()

    def _lose(self) -> None:
        with self._lock:
            led, self._term = self._term is not None, None
        self._lease = 0
        if led:
            log.info("election: %s no longer leads", self._manager)
            self._on_change()
