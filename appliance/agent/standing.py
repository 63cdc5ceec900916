"""How well this node is, for each thing that a virtual address leads to: 0, 1 or 2 in a file that keepalived follows.

2: it does not serve. 1: it serves, and has not for long. 0: it serves. Nobody takes an address from a node that serves
for one that has only just come back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.host.files import write_if_changed

SETTLED, RETURNED, UNWELL = 0, 1, 2
SETTLES_AFTER = 10.0
"""Seconds without a bad answer until a node that came back counts as before."""
BAD_ANSWERS = 2
"""In a row, until it does not serve."""


@dataclass(frozen=True)
class Standing:
    """`since`: the moment from which every answer was good; `bad`: bad answers in a row."""

    value: int = UNWELL
    since: float = 0.0
    bad: int = 0


def next_standing(before: Standing, answer: bool, now: float) -> Standing:
    """Pure."""
    if not answer:
        bad = before.bad + 1
        return Standing(UNWELL if bad >= BAD_ANSWERS else before.value, now, bad)
    if before.value == UNWELL:
        return Standing(RETURNED, now)
    if before.value == RETURNED and now - before.since >= SETTLES_AFTER:
        return Standing(SETTLED, before.since)
    return replace(before, bad=0)


class Standings:
    """`fronts`: name → whether it serves now. Not thread-safe."""

    def __init__(self, folder: Path, fronts: Mapping[str, Callable[[], bool]], clock: Callable[[], float]) -> None:
        self._folder = folder
        self._fronts = fronts
        self._clock = clock
        self._now: dict[str, Standing] = {}

    def prepare(self) -> None:
        """Let every file be there before keepalived looks; what an agent before this one found stays. OSError."""
        for front in self._fronts:
            if front not in self._now:
                self._now[front] = self._read(front)
                self._write(front)

    def ask(self, front: str) -> bool:
        """Takes as long as the question. Says whether the answer was good."""
        self.prepare()
        answer = self._fronts[front]()
        self._now[front] = next_standing(self._now[front], answer, self._clock())
        self._write(front)
        return answer

    def _read(self, front: str) -> Standing:
        try:
            return Standing(int((self._folder / front).read_text()), self._clock())
        except (FileNotFoundError, ValueError):
            return Standing()

    def _write(self, front: str) -> None:
        write_if_changed(self._folder / front, f"{self._now[front].value}\n", mode=0o644)
