"""Says, once, of each certificate that it should have been renewed by now."""

from collections.abc import Callable

from appliance.loop import Loop
from appliance.model.certificate import HeldCertificate
from appliance.model.moment import text_of_seconds
from appliance.store.state import State, held_certificates

LOOK_AGAIN = 30.0


class Lateness:
    """A component. `tell` gets the node's id and a sentence; `clock` is seconds since the epoch."""

    name = "lateness"

    def __init__(self, state: State, tell: Callable[[str, str], None], clock: Callable[[], float]) -> None:
        self._state = state
        self._tell = tell
        self._clock = clock
        self._told: set[str] = set()
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def cycle(self) -> None:
        now = self._clock()
        late = {each.name: each for each in held_certificates(self._state) if each.validity.is_late(now)}
        for name in sorted(late.keys() - self._told):
            self._tell(late[name].node, _sentence(late[name], now))
        self._told = set(late)


def _sentence(held: HeldCertificate, now: float) -> str:
    over = held.validity.over
    ends = "has ended" if over < now else "ends"
    return f"its certificate {held.use} {ends} at {text_of_seconds(over, 'seconds')} and was not renewed"
