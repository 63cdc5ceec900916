"""Looks at the overlay by itself: when this node learns of others, as after its join, and until all is well."""

from collections.abc import Callable

from appliance.loop import Loop
from appliance.model.measurement import Measurement
from appliance.model.node import Peer
from appliance.network.diagnosis import troubles

AGAIN = 5.0
"""Seconds until the next look at what was in trouble: others may just be hearing of this node."""
LATER = 60.0
"""The same once it has been in trouble for PATIENT looks."""
PATIENT = 3
_NEVER = 86400.0


class Checkup:
    """A component. `measure` is Probe's. `peers` names the nodes to look at, by ids."""

    name = "checkup"

    def __init__(
        self, measure: Callable[[tuple[Peer, ...]], tuple[Measurement, ...]], peers: Callable[[], tuple[Peer, ...]]
    ) -> None:
        self._measure = measure
        self._peers = peers
        self._well: tuple[Peer, ...] = ()
        self._looks = 0
        self._found: tuple[Measurement, ...] | None = None
        self._loop = Loop(self.name, self.cycle, interval=_NEVER)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """A look that is under way may go on for seconds; it only asks, so nobody waits for it."""
        self._loop.stop(wait=False)

    def wake(self) -> None:
        """The other nodes may have changed."""
        self._looks = 0
        self._loop.wake()

    def bad(self) -> tuple[Measurement, ...] | None:
        """What is in trouble; None until that is known for sure."""
        return self._found

    def cycle(self) -> float | None:
        """Raises ApplianceError where nothing can be measured."""
        peers = self._peers()
        if peers == self._well:
            return None
        bad = tuple(measured for measured in self._measure(peers) if is_bad(measured))
        self._looks += 1
        if not bad:
            self._well, self._found, self._looks = peers, (), 0
            return None
        if self._looks < PATIENT:
            return AGAIN
        self._found = bad
        return LATER


def is_bad(measured: Measurement) -> bool:
    """A node that does not answer at all is most likely off, which managers see for themselves.

    Where its host could not be asked, it is for them to tell which it is.
    """
    return (measured.host is not False or measured.overlay) and bool(troubles(measured, "", ""))
