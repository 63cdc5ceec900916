"""Renews a manager's own certificates before they end, without a restart of anything, and says so in the store.

Who reads files reads them anew at each handshake (etcd, nginx); who does not is told. It needs no network and no store:
after months without power a manager first renews what has expired, by its own authority on its disk.
"""

import logging
from collections.abc import Callable

from appliance.delivery import pki
from appliance.host.layout import Layout
from appliance.loop import Loop
from appliance.model.certificate import Use
from appliance.store.state import State, record_held
from appliance.store.store import Store

log = logging.getLogger(__name__)

LOOK_AGAIN = 10.0
"""Seconds; a clock that is set a year ahead makes everything expire in this moment."""


class Renewal:
    """A component. `changed` is called after a renewal, with which; `clock` is seconds since the epoch."""

    name = "renewal"

    def __init__(
        self,
        layout: Layout,
        node_id: str,
        state: State,
        store: Store,
        changed: Callable[[set[Use]], None],
        clock: Callable[[], float],
    ) -> None:
        self._layout = layout
        self._node_id = node_id
        self._state = state
        self._store = store
        self._changed = changed
        self._clock = clock
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Another authority signs from now on."""
        self._loop.wake()

    def cycle(self) -> float:
        """Renew what is due. Returns in how many seconds the next one is."""
        cluster = self._state.cluster()
        renewed = pki.renew_due(self._layout, self._clock(), cluster.certificate_life if cluster else None)
        if renewed:
            log.info("renewed: %s", ", ".join(sorted(renewed)))
            self._changed(renewed)
        own = pki.own_certificates(self._layout, self._node_id)
        record_held(self._state, self._store, own)
        return min(each.validity.due_in(self._clock()) for each in own)
