"""Asks probes when they are due. One thread keeps the time; a few share the asking, however many probes there are."""

import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from appliance.engine.engine import Engine
from appliance.errors import ApplianceError
from appliance.model.container import Probe

log = logging.getLogger(__name__)

ASKING = 4
"""Probes asked at the same time."""
EAGER, EAGER_FOR = 0.5, 60.0
"""Seconds between questions to a container that is not ready yet, and for how long: somebody waits for the answer."""


@dataclass(frozen=True)
class Target:
    """`run` tells one run of the container from the next: a new one starts from nothing."""

    container: str
    kind: Literal["live", "ready"]
    probe: Probe
    address: str
    run: str


@dataclass
class _Watched:
    target: Target
    due: float
    verdict: bool
    eager_until: float
    against: int = 0
    """Answers in a row that contradict the verdict."""
    asking: bool = False


class Health:
    """A component. A container counts as live until its probe has failed, as ready once it has passed."""

    name = "health"

    def __init__(
        self, engine: Engine, changed: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`changed` is called with the instance whose verdict changed, from any thread."""
        self._engine = engine
        self._changed = changed
        self._clock = clock
        self._watched: dict[str, list[_Watched]] = {}
        self._news = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._pool = ThreadPoolExecutor(ASKING, "probe")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._news:
            self._stopping = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._pool.shutdown(wait=False, cancel_futures=True)

    def follow(self, instance: str, targets: tuple[Target, ...]) -> None:
        """Ask these from now on; those that were asked already go on undisturbed."""
        with self._news:
            known = {watched.target: watched for watched in self._watched.pop(instance, [])}
            if targets:
                self._watched[instance] = [known.get(target) or self._begin(target) for target in targets]
                self._news.notify()

    def ready(self, instance: str) -> bool:
        """Every readiness probe that is followed says yes."""
        with self._news:
            return all(w.verdict for w in self._watched.get(instance, ()) if w.target.kind == "ready")

    def unwell(self, instance: str) -> frozenset[str]:
        """Containers whose live probe says no."""
        with self._news:
            found = self._watched.get(instance, ())
            return frozenset(w.target.container for w in found if w.target.kind == "live" and not w.verdict)

    def _begin(self, target: Target) -> _Watched:
        first = self._clock() + target.probe.initial_delay
        return _Watched(target, first, verdict=target.kind == "live", eager_until=first + EAGER_FOR)

    def _run(self) -> None:
        while True:
            with self._news:
                if self._stopping:
                    return
                waiting = [(n, w) for n, group in self._watched.items() for w in group if not w.asking]
                now = self._clock()
                for instance, watched in waiting:
                    if watched.due <= now:
                        watched.asking = True
                        self._pool.submit(self._ask, instance, watched)
                later = [watched.due - now for _, watched in waiting if watched.due > now]
                self._news.wait(min(later, default=None))

    def _ask(self, instance: str, watched: _Watched) -> None:
        try:
            answer = ask(self._engine, watched.target)
        except Exception:
            log.exception("probe of %s", watched.target.container)
            answer = False
        with self._news:
            changed = _count(watched, answer)
            watched.asking = False
            watched.due = self._clock() + _pause(watched, self._clock())
            self._news.notify()
        if changed:
            self._changed(instance)


def _pause(watched: _Watched, now: float) -> float:
    """Seconds until the next question."""
    every = watched.target.probe.every
    waited_for = watched.target.kind == "ready" and not watched.verdict and not watched.against
    if waited_for and now < watched.eager_until:
        return min(every, EAGER)
    return every


def _count(watched: _Watched, answer: bool) -> bool:
    """Take one answer; says whether the verdict turned."""
    if answer == watched.verdict:
        watched.against = 0
        return False
    watched.against += 1
    probe = watched.target.probe
    if watched.against < (probe.successes if answer else probe.failures):
        return False
    watched.verdict, watched.against = answer, 0
    return True


def ask(engine: Engine, target: Target) -> bool:
    """One question, answered within the probe's timeout. What cannot be asked is a no."""
    probe = target.probe
    try:
        if probe.exec is not None:
            return engine.execute(target.container, probe.exec, probe.timeout).exit_code == 0
        if probe.http is not None:
            return _http(target.address, probe.port, probe.http, probe.timeout)
        with socket.create_connection((target.address, probe.tcp or probe.port), probe.timeout):
            return True
    except (OSError, http.client.HTTPException, ApplianceError):
        return False


def _http(address: str, port: int, path: str, timeout: float) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return 200 <= connection.getresponse().status < 400
    finally:
        connection.close()
