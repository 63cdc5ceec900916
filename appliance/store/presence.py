"""Which managers are there: each holds a key of its own by a lease; and whether this one's copy of the store is fresh.

The two belong together: the lease is renewed by the store's quorum, so whoever renews it is in touch with that.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from appliance.errors import ApplianceError
from appliance.loop import Loop
from appliance.model.cluster import PROGRESS
from appliance.model.manager import Alive
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put, Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 10
_PAUSE = LEASE_SECONDS / 3
STALE_AFTER = 8.0
"""Seconds without a renewal after which a copy is not fresh."""
DEAF_AFTER = 3 * PROGRESS
"""Seconds without a word of the watch after which it is not either."""


class Watched(Protocol):
    """A copy of the store that a watch keeps fresh (`mirror.py`)."""

    @property
    def heard(self) -> float:
        """When its watch said something last, by `time.monotonic`."""
        ...


class Presence:
    """A component. `alive` is what others are told of this manager; `clock` is that of `Watched.heard`."""

    name = "presence"

    def __init__(self, store: Store, copy: Watched, alive: Alive, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._copy = copy
        self._alive = alive
        self._clock = clock
        self._lease = 0
        self._renewed = clock()
        self._loop = Loop(self.name, self.cycle, interval=_PAUSE, longest_backoff=_PAUSE)

    def start(self) -> None:
        """Returns once the others can see this manager. Raises StoreUnavailable."""
        self.cycle()
        self._loop.start()

    def stop(self) -> None:
        """The others need not wait for the lease."""
        self._loop.stop()
        lease, self._lease = self._lease, 0
        if lease:
            try:
                self._store.revoke(lease)
            except ApplianceError as error:
                log.info("this manager is missed only when its lease has run out: %s", error)

    def fresh(self) -> bool:
        """Whether the store's quorum and the watch were there a moment ago. From any thread."""
        now = self._clock()
        return now - self._renewed < STALE_AFTER and now - self._copy.heard < DEAF_AFTER

    def cycle(self) -> None:
        """Renew the lease, or begin anew where it ran out."""
        asked = self._clock()
        if not self._lease or not self._store.renew(self._lease):
            lease = self._store.grant(LEASE_SECONDS)
            self._store.commit([Put(keys.ALIVE + self._alive.id, encode(self._alive), lease)])
            self._lease = lease
        self._renewed = asked
