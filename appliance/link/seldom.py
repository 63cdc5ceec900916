"""Keeps a log short where somebody who is refused tries again every few seconds, maybe for months."""

import time
from collections.abc import Callable

AGAIN_AFTER = 600.0
"""Seconds after which the same is worth a line again."""
MOST = 1000
"""Sentences that are remembered: strangers may make up any number of them."""


class Seldom:
    """`clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, float] = {}

    def is_news(self, sentence: str) -> bool:
        """Whether it was not said lately; it counts as said from now on."""
        now = self._clock()
        if now - self._said.get(sentence, -AGAIN_AFTER) < AGAIN_AFTER:
            return False
        if len(self._said) >= MOST:
            self._said.clear()
        self._said[sentence] = now
        return True
