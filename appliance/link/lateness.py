"""Says, once, of each certificate that it should have been renewed by now.

To a clock that steps everything is late, until it is renewed: what is so at one look only is not spoken of.
"""

from collections.abc import Callable

from appliance.loop import Loop
from appliance.model.certificate import HeldCertificate
from appliance.model.moment import text_of_seconds
from appliance.store.state import State, held_certificates

LOOK_AGAIN = 65.0
"""Seconds: longer than those after which whoever renews looks again."""


class Lateness:
    """A component. `tell` gets the node's id and a sentence; `clock` is seconds since the epoch."""

    name = "lateness"

    def __init__(self, state: State, tell: Callable[[str, str], None], clock: Callable[[], float]) -> None:
        self._state = state
        self._tell = tell
        self._clock = clock
        self._late: set[str] = set()
        self._told: set[str] = set()
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def cycle(self) -> None:
        now = self._clock()
        late = {each.name: each for each in held_certificates(self._state) if each.validity.is_late(now)}
        still = late.keys() & self._late
        for name in sorted(still - self._told):
            self._tell(late[name].node, _sentence(late[name], now))
        self._late, self._told = set(late), still


def _sentence(held: HeldCertificate, now: float) -> str:
    over = held.validity.over
    ends = "has ended" if over < now else "ends"
    return f"its certificate {held.use} {ends} at {text_of_seconds(over, 'seconds')} and was not renewed"
