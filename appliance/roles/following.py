"""An agent follows what managers say of its own address and theirs: into the identity on its disk, and no further.

`appliance run` starts this node's processes anew when its own address has changed (`settling`), so there is one way to
take an address, that of every start. Other managers are only other links, which come and go while the agent runs.
"""

import logging
import time
from collections.abc import Callable

import msgspec

from appliance.host.interfaces import has_address
from appliance.link.messages import Whereabouts
from appliance.loop import Loop
from appliance.model.identity import NodeIdentity

log = logging.getLogger(__name__)

LOOK_AGAIN = 1.0
"""Seconds until it is looked again whether the host has its new address."""
MANAGERS_WAIT = 3.0
"""Seconds by which a manager's own node follows later, so that the agents have been told before it goes."""


class Following:
    """A component. `take` is called with every message; `change` rewrites the identity on the disk, `link` gets other
    managers."""

    name = "following"

    def __init__(
        self,
        identity: NodeIdentity,
        change: Callable[[Callable[[NodeIdentity], NodeIdentity]], None],
        link: Callable[[tuple[str, ...]], None],
        has: Callable[[str], bool] = has_address,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._change = change
        self._link = link
        self._has = has
        self._clock = clock
        self._wanted = identity
        self._due = 0.0
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def take(self, news: Whereabouts) -> None:
        self._wanted = followed(self._identity, news)
        self._due = self._clock() + (MANAGERS_WAIT if "manager" in self._identity.roles else 0.0)
        self._loop.wake()

    def cycle(self) -> float | None:
        """Write the identity down when it is due and the host has the address."""
        wanted = self._wanted
        if wanted == self._identity:
            return None
        early = self._due - self._clock()
        if early > 0:
            return early
        if not self._has(wanted.address):
            log.warning("this node's address is to be %s, which the host does not have yet", wanted.address)
            return LOOK_AGAIN
        # Only this much: what else is in it by now is somebody else's.
        self._change(lambda now: _whereabouts_of(wanted, now))
        if wanted.managers != self._identity.managers:
            self._link(wanted.managers)
        self._identity = wanted
        return None


def _whereabouts_of(wanted: NodeIdentity, now: NodeIdentity) -> NodeIdentity:
    return msgspec.structs.replace(now, address=wanted.address, managers=wanted.managers, moved=wanted.moved)


def followed(identity: NodeIdentity, news: Whereabouts) -> NodeIdentity:
    """The identity after the news. A move that was set on the node stays until the managers say the same. Pure."""
    known = sorted(news.managers) in ([], sorted(identity.managers))  # in another order they are the same
    managers = identity.managers if known else news.managers
    if identity.moved and news.address != identity.address:
        return msgspec.structs.replace(identity, managers=managers)
    return msgspec.structs.replace(identity, address=news.address, managers=managers, moved=False)
