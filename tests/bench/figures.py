"""The table: each figure with its aim and, where there is one, the peer's figure of the same run."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """`value` in `unit`; `at_most` or `at_least` is the aim, None where the figure is only shown (a peer's own)."""

    what: str
    value: float
    unit: str
    at_most: float | None = None
    note: str = ""
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def aim(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"


def seconds(what: str, samples: Sequence[float], at_most: float | None = None, note: str = "") -> Figure:
    """The median of the samples; their range goes into the note."""
    middle = statistics.median(samples)
    spread = f"{len(samples)} runs, {min(samples):.2f}–{max(samples):.2f}" if len(samples) > 1 else ""
    return Figure(what, round(middle, 3), "s", at_most, "; ".join(part for part in (note, spread) if part))


def ratio(what: str, ours: Sequence[float], theirs: Sequence[float], at_most: float) -> Figure:
    """Median of ours divided by the median of theirs."""
    value = statistics.median(ours) / statistics.median(theirs)
    return Figure(what, round(value, 2), "×", at_most)


def by_round(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of each round's own ratio: what else runs on the machine changes from one round to the next."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def turns[T](peers: Sequence[T], number: int) -> Sequence[T]:
    """Who goes first in a round: another one than in the round before, since the second finds the machine warm."""
    return peers if number % 2 else peers[::-1]


def as_markdown(figures: Sequence[Figure]) -> str:
    rows = ["| what | figure | aim | | note |", "| --- | ---: | ---: | --- | --- |"]
    verdicts = {True: "met", False: "**missed**", None: ""}
    for figure in figures:
        aim = f"{figure.aim} {figure.unit}" if figure.aim else ""
        rows.append(
            f"| {figure.what} | {figure.value:g} {figure.unit} | {aim} | {verdicts[figure.met]} | {figure.note} |"
        )
    return "\n".join(rows)


def as_json(figures: Sequence[Figure]) -> str:
    return json.dumps([asdict(figure) | {"met": figure.met} for figure in figures], indent=1, ensure_ascii=False)
