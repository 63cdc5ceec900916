"""What to do next with one instance: a pure decision from what is wanted and what was seen.

Nothing that is right is ever touched: a container is made anew only when the digest of what it is made of, or the
count of restarts that people asked for, differs from its label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.engine.container import CONTAINER_LABEL, DIGEST_LABEL, PAUSE, RESTART_LABEL
from appliance.engine.engine import ContainerSettings, ContainerState
from appliance.model.instance import Desired, InstanceState

BACKOFF = (0.0, 0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds before the n-th start in a row of a container that does not stay up."""
STABLE_AFTER = 10.0
_RUNNING = ("running", "paused", "restarting")


@dataclass(frozen=True)
class Memory:
    """What is remembered of one container. `not_before` is in seconds of the supervisor's clock."""

    failures: int = 0
    not_before: float = 0.0
    restarts: int = 0

    def after_end(self, now: float, lasted: float) -> "Memory":
        """The container ended after `lasted` seconds: at once again if it was stable, else later and later."""
        failures = 0 if lasted > STABLE_AFTER else self.failures
        pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
        return Memory(failures + 1, now + pause, self.restarts + 1)


@dataclass(frozen=True)
class Create:
    """Bring the image, create and start."""

    settings: ContainerSettings


@dataclass(frozen=True)
class Start:
    name: str


@dataclass(frozen=True)
class Stop:
    name: str


@dataclass(frozen=True)
class Remove:
    """Stop with grace, then remove."""

    name: str


Action = Create | Start | Stop | Remove


@dataclass(frozen=True)
class Step:
    """Do `actions`, then look again; with none to do, look at `wait` (seconds of the clock), None : when woken."""

    state: InstanceState
    actions: tuple[Action, ...] = ()
    wait: float | None = None


@dataclass(frozen=True)
class Seen:
    """`containers` by engine name; `memory` and `unwell` (live probe says no) by engine name as well."""

    containers: Mapping[str, ContainerState]
    memory: Mapping[str, Memory] = field(default_factory=dict)
    unwell: frozenset[str] = frozenset()


def step(desired: Desired, wanted: tuple[ContainerSettings, ...], seen: Seen, now: float) -> Step:
    """`wanted`: the containers in the order in which they start, the one that holds the network first."""
    if desired == "removed":
        names = tuple(Remove(name) for name in seen.containers)
        return Step("stopping", names) if names else Step("removed")
    outdated = _outdated(wanted, seen.containers)
    if outdated:
        return Step("stopping", tuple(Remove(name) for name in outdated))
    if desired == "stopped":
        up = tuple(Stop(name) for name, container in seen.containers.items() if container.state in _RUNNING)
        return Step("stopping", up) if up else Step("stopped")
    return _run(wanted, seen, now)


def _run(wanted: tuple[ContainerSettings, ...], seen: Seen, now: float) -> Step:
    to_stop = tuple(Stop(name) for name in _to_restart(wanted, seen))
    if to_stop:
        return Step("starting", to_stop)
    actions: list[Action] = []
    waits: list[float] = []
    for settings in wanted:
        container = seen.containers.get(settings.name)
        due = seen.memory.get(settings.name, Memory()).not_before
        if container is not None and container.state in _RUNNING:
            continue
        if due > now:
            waits.append(due)
            if _is_pause(settings):
                break  # the others live in its network
        elif container is None:
            actions.append(Create(settings))
        elif container.state in ("dead", "removing"):
            actions.append(Remove(settings.name))
        else:
            actions.append(Start(settings.name))
    if actions:
        return Step("starting", tuple(actions), min(waits, default=None))
    if waits:
        return Step("backoff", wait=min(waits))
    return Step("running")


def _outdated(wanted: tuple[ContainerSettings, ...], containers: Mapping[str, ContainerState]) -> list[str]:
    """Those that no setting describes any more; all of them when the network's container is among them."""
    by_name = {settings.name: settings for settings in wanted}
    outdated = [name for name, seen in containers.items() if not _matches(by_name.get(name), seen)]
    pause = next((settings.name for settings in wanted if _is_pause(settings)), None)
    if pause is None:
        return outdated
    holder = containers.get(pause)
    if holder is None or pause in outdated:
        return list(containers)
    # The engine ties them to the holder's id, not to its name.
    return outdated + [
        name
        for name, seen in containers.items()
        if name not in outdated and _moment(seen.created_at) < _moment(holder.created_at)
    ]


def _matches(settings: ContainerSettings | None, seen: ContainerState) -> bool:
    if settings is None:
        return False
    same = settings.labels[DIGEST_LABEL] == seen.labels.get(DIGEST_LABEL)
    return same and int(settings.labels[RESTART_LABEL]) <= int(seen.labels.get(RESTART_LABEL, "0"))


def _to_restart(wanted: tuple[ContainerSettings, ...], seen: Seen) -> list[str]:
    """Running ones that are unwell, or whose network went with the container that held it."""
    holder = next((seen.containers.get(s.name) for s in wanted if _is_pause(s)), None)
    found = []
    for settings in wanted:
        container = seen.containers.get(settings.name)
        if container is None or container.state not in _RUNNING or _is_pause(settings):
            continue
        orphaned = holder is not None and _moment(container.started_at) < _moment(holder.started_at)
        if orphaned or settings.name in seen.unwell:
            found.append(settings.name)
    return found


def _is_pause(settings: ContainerSettings) -> bool:
    return settings.labels[CONTAINER_LABEL] == PAUSE


def _moment(time: str) -> str:
    """RFC 3339 with as many digits as the engine likes: without the Z, text sorts as time."""
    return time.removesuffix("Z")
