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
from appliance.model.container import Container, Probe

log = logging.getLogger(__name__)

ASKING = 4
"""Probes asked at the same time."""
EAGER, EAGER_FOR = 0.5, 60.0
"""Seconds between questions to a container that is not ready yet, and for how long: somebody waits for the answer."""


Kind = Literal["start", "live", "ready"]


@dataclass(frozen=True)
class Target:
    """`run` tells one run of the container from the next: a new one starts from nothing."""

    container: str
    kind: Kind
    probe: Probe
    address: str
    run: str


@dataclass
class _Watched:
    """`verdict`: None until enough answers in a row agree; a container is believed live until then.

    `counted`: moment before which a no says nothing, since it was asked out of the probe's pace.
    """

    target: Target
    due: float
    eager_until: float
    counted: float
    verdict: bool | None = None
    answer: bool = False
    row: int = 0
    """How often `answer` was given in a row."""
    asking: bool = False


class Health:
    """A component. A container counts as live until its probe has failed, as ready once it has passed.

    While its start probe has not passed, the other two are not asked.
    """

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
        """Every start and readiness probe that is followed says yes."""
        with self._news:
            return all(w.verdict for w in self._watched.get(instance, ()) if w.target.kind != "live")

    def unwell(self, instance: str) -> frozenset[str]:
        """Containers whose start or live probe says no."""
        with self._news:
            found = self._watched.get(instance, ())
            return frozenset(w.target.container for w in found if w.target.kind != "ready" and w.verdict is False)

    def _begin(self, target: Target) -> _Watched:
        first = self._clock() + target.probe.initial_delay
        return _Watched(target, first, first + EAGER_FOR, first)

    def _run(self) -> None:
        while True:
            with self._news:
                if self._stopping:
                    return
                waiting = [(i, w) for i, group in self._watched.items() for w in _open(group) if not w.asking]
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
            now = self._clock()
            changed = _count(watched, answer, now)
            watched.asking = False
            watched.due = now + _pause(watched, now)
            if changed and watched.target.kind == "start":
                self._follow_up(instance, watched.target.container)
            self._news.notify()
        if changed:
            self._changed(instance)

    def _follow_up(self, instance: str, container: str) -> None:
        """The container has started just now: the delays of its other probes count from here."""
        group = self._watched.get(instance, [])
        for n, watched in enumerate(group):
            if watched.target.container == container and watched.target.kind != "start":
                group[n] = self._begin(watched.target)


def targets(container: str, spec: Container, address: str, run: str) -> tuple[Target, ...]:
    """The probes of one run of a container."""
    asked: tuple[tuple[Kind, Probe | None], ...] = (
        ("start", spec.health.start),
        ("live", spec.health.live),
        ("ready", spec.health.ready),
    )
    return tuple(Target(container, kind, probe, address, run) for kind, probe in asked if probe is not None)


def _open(group: list[_Watched]) -> list[_Watched]:
    """Those that may be asked: a start probe until it said yes, the others of its container only then."""
    starting = {w.target.container for w in group if w.target.kind == "start" and not w.verdict}
    return [w for w in group if (w.target.kind == "start") == (w.target.container in starting)]


def _pause(watched: _Watched, now: float) -> float:
    """Seconds until the next question."""
    every = watched.target.probe.every
    waited_for = watched.target.kind != "live" and not watched.verdict and not watched.answer
    if waited_for and now < watched.eager_until:
        return min(every, EAGER)
    return every


def _count(watched: _Watched, answer: bool, now: float) -> bool:
    """Take one answer; says whether the verdict turned."""
    probe = watched.target.probe
    if not answer and now < watched.counted:
        return False
    # A question that comes a little early is still in the probe's pace.
    watched.counted = now + 0.9 * probe.every
    watched.row = watched.row + 1 if answer == watched.answer else 1
    watched.answer = answer
    if answer == watched.verdict or watched.row < (probe.successes if answer else probe.failures):
        return False
    watched.verdict = answer
    return True


def ask(engine: Engine, target: Target) -> bool:
    """One question, answered within the probe's timeout. What cannot be asked is a no."""
    probe = target.probe
    try:
        if probe.exec is not None:
            return engine.execute(target.container, probe.exec, probe.timeout).exit_code == 0
        if probe.http is not None:
            return _http(target.address, probe.port, probe.http, probe.timeout)
        if probe.grpc is not None:
            return _serving(target.address, probe.port, probe.grpc, probe.timeout)
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


def _serving(address: str, port: int, service: str, timeout: float) -> bool:
    """``grpc.health.v1.Health/Check`` (github.com/grpc/grpc, doc/health-checking.md).

    The question's only field is text number 1, the answer's an enumeration number 1, of which 1 is SERVING: on the wire
    the same as two of protobuf's own types.
    """
    import grpc  # 15 MB, and few nodes need it
    from google.protobuf.wrappers_pb2 import Int32Value, StringValue

    with grpc.insecure_channel(f"{address}:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", StringValue.SerializeToString, Int32Value.FromString
        )
        try:
            return bool(check(StringValue(value=service), timeout=timeout).value == 1)
        except grpc.RpcError:
            return False
