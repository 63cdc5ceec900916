"""Compares this end's clock with the other end's, by questions that the other end answers with its time.

As in NTP (RFC 5905, section 8) half of the round trip is taken to be the way there; at worst all of it was, so half of
it is the largest error. The quickest of the last answers says most. Ways and answers are timed by the monotonic clock,
so that a step of either wall clock between two questions spoils nothing: a step here shows at once, one of the other
end when the answers from before it are forgotten.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from appliance.model.skew import Skew

REMEMBERED = 8
"""Answers: the quickest of 40 seconds."""


class _Answer(NamedTuple):
    ahead: float
    """The other end's wall clock minus our monotonic one."""
    error: float


class Comparison:
    """`clock` is the wall clock (seconds since 1970), `tick` one that nobody sets (since whenever)."""

    def __init__(self, clock: Callable[[], float], tick: Callable[[], float]) -> None:
        self._clock = clock
        self._tick = tick
        self._asked: float | None = None
        self._answers: deque[_Answer] = deque(maxlen=REMEMBERED)

    def ask(self) -> float:
        """The moment that the question carries and the answer brings back. An older question is given up."""
        self._asked = self._tick()
        return self._asked

    def answered(self, asked: float, clock: float) -> bool:
        """Take the other end's time. Returns False, and forgets it, when it answers none or not the last question."""
        if asked != self._asked:
            return False
        self._asked = None
        error = (self._tick() - asked) / 2
        self._answers.append(_Answer(clock - (asked + error), error))
        return True

    def skew(self) -> Skew | None:
        """Of our clock as it is now; None before the first answer."""
        if not self._answers:
            return None
        best = min(self._answers, key=lambda answer: answer.error)
        return Skew(offset=self._clock() - self._tick() - best.ahead, error=best.error)
