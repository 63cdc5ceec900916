"""The limit for everything that starts containers: a loop over the engines' APIs; and the ways to measure."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.lab.engine_api import EngineApi

_LABEL = "lab.bench"


def count(engines: Sequence[EngineApi], label: str, *, all: bool = False) -> int:
    return sum(len(engine.containers(label, all=all)) for engine in engines)


def seconds_until(check: Callable[[], bool], since: float, *, limit: float = 600) -> float:
    """Seconds from the `time.monotonic()` value `since` until `check` holds, looked at every 50 ms."""
    while not check():
        if time.monotonic() - since > limit:
            raise TimeoutError(f"not reached within {limit:g} s")
        time.sleep(0.05)
    return time.monotonic() - since


def restart_seconds(engine: EngineApi, container: str, kill: Callable[[str], float]) -> float:
    """Kill a container's processes; the seconds from the kill to the start the engine reports."""
    before = engine.started_at(container)
    killed = kill(container)
    seconds_until(lambda: engine.started_at(container) > before, time.monotonic(), limit=60)
    return engine.started_at(container) - killed


class BareLoop:
    """The limit: a loop over the engines' APIs, four threads in all, hosts in turn."""

    name = "bare engine loop"

    def __init__(self, engines: Sequence[EngineApi], image: str, command: Sequence[str]) -> None:
        self._engines = engines
        self._image = image
        self._command = command
        self._made: list[tuple[EngineApi, str]] = []

    def create(self, replicas: int) -> float:
        """Seconds until all run, looked at in the same way as for the others."""
        begun = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            made = [pool.submit(self._one, index) for index in range(replicas)]
            taken = seconds_until(lambda: count(self._engines, _LABEL) == replicas, begun)
        self._made = [one.result() for one in made]
        return taken

    def remove(self) -> float:
        """Seconds until none of them exists."""
        begun = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda made: made[0].remove(made[1]), self._made))
        return time.monotonic() - begun

    def _one(self, index: int) -> tuple[EngineApi, str]:
        engine = self._engines[index % len(self._engines)]
        return engine, engine.run(f"bare-{index}", self._image, self._command, labels={_LABEL: ""})
