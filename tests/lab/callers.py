"""Calls that are made all the time while something else happens; every one counts, and what went wrong is kept."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Count:
    """Of one kind of call. `failures`: seconds since the start, and what went wrong."""

    calls: int = 0
    slowest: float = 0.0
    failures: list[tuple[float, str]] = field(default_factory=list)


class Callers:
    """Context manager: one thread for each kind of call, `every` seconds. A call fails by raising."""

    def __init__(self, calls: Mapping[str, Callable[[], object]], every: float = 1.0) -> None:
        self.counts = {name: Count() for name in calls}
        self._every = every
        self._over = threading.Event()
        self._begun = time.monotonic()
        self._threads = [threading.Thread(target=self._call, args=each) for each in calls.items()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def failures(self) -> dict[str, list[tuple[float, str]]]:
        return {name: count.failures for name, count in self.counts.items() if count.failures}

    def __str__(self) -> str:
        return "; ".join(
            f"{name}: {count.calls} calls, {len(count.failures)} failed, slowest {count.slowest:.2f} s"
            for name, count in self.counts.items()
        )

    def _call(self, name: str, call: Callable[[], object]) -> None:
        count = self.counts[name]
        while not self._over.wait(self._every):
            begun = time.monotonic()
            try:
                call()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
                count.failures.append((begun - self._begun, str(error)))
            count.calls += 1
            count.slowest = max(count.slowest, time.monotonic() - begun)
