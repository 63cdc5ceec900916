"""What to do next with the containers of an instance: a pure decision from what is wanted and what was seen.

Nothing that is right is ever touched: a container is made anew only when the digest of what it is made of, or the
count of restarts that people asked for, differs from its label.
"""

from collections.abc import Mapping

from appliance.agent.step import RUNNING, Action, Create, Remove, Seen, Start, Step, Stop, image_of
from appliance.engine.container import CONTAINER_LABEL, DIGEST_LABEL, PAUSE, RESTART_LABEL
from appliance.engine.engine import ContainerSettings, ContainerState
from appliance.model.container import Restart
from appliance.model.instance import InstanceState
from appliance.model.wish import Desired

Policies = Mapping[str, Restart]
"""By the name that the container has in the spec."""


def container_step(
    desired: Desired, wanted: tuple[ContainerSettings, ...], seen: Seen, now: float, policies: Policies | None = None
) -> Step:
    """`wanted`: the containers in the order in which they start, the one that holds the network first."""
    if desired == "removed":
        names = tuple(Remove(name) for name in seen.containers)
        return Step("stopping", names) if names else Step("removed")
    old = outdated(wanted, seen.containers)
    if old and desired == "running":
        return _replace(wanted, old, seen, now, policies or {})
    if old:
        return Step("stopping", tuple(Remove(name, anew=True) for name in old))
    if desired == "stopped":
        return stop_all(seen.containers)
    return run(wanted, seen, now, policies or {})


def run(wanted: tuple[ContainerSettings, ...], seen: Seen, now: float, policies: Policies) -> Step:
    """What is missing is created, what ended is started as its policy says; ``running`` when nothing is left to do."""
    to_stop = tuple(Stop(name, again=True) for name in _to_restart(wanted, seen))
    if to_stop:
        return Step("starting", to_stop)
    actions: list[Action] = []
    waits: list[float] = []
    down: list[str] = []
    for settings in wanted:
        container = seen.containers.get(settings.name)
        if container is not None and container.state in RUNNING:
            continue
        if container is not None and stays_down(_policy(settings, policies), container):
            down.append(f"{settings.labels[CONTAINER_LABEL]} ended with code {container.exit_code} and stays down")
        elif (due := seen.due(settings)) > now:
            waits.append(due)
            if _is_pause(settings):
                break  # the others live in its network
        elif container is None:
            actions.append(Create(settings))
        elif container.state in ("dead", "removing"):
            actions.append(Remove(settings.name))
        else:
            actions.append(Start(settings.name))
    message = "; ".join(down)
    if actions:
        return Step("starting", tuple(actions), min(waits, default=None), message)
    if waits:
        return Step("backoff", wait=min(waits), message=message)
    ended = bool(down) and len(down) == sum(not _is_pause(settings) for settings in wanted)
    return Step("stopped" if ended else "running", message=message)


def stop_all(containers: Mapping[str, ContainerState]) -> Step:
    """Containers that have ended stay, for their logs."""
    up = tuple(Stop(name) for name, container in containers.items() if container.state in RUNNING)
    return Step("stopping", up) if up else Step("stopped")


def stays_down(policy: Restart, container: ContainerState) -> bool:
    """It has ended, and for good."""
    ended = container.state == "exited"
    return ended and (policy == "never" or (policy == "on-failure" and container.exit_code == 0))


def outdated(wanted: tuple[ContainerSettings, ...], containers: Mapping[str, ContainerState]) -> list[str]:
    """Those that no setting describes any more; all of them when the network's container is among them."""
    by_name = {settings.name: settings for settings in wanted}
    found = [name for name, seen in containers.items() if not _matches(by_name.get(name), seen)]
    pause = next((settings.name for settings in wanted if _is_pause(settings)), None)
    if pause is None:
        return found
    holder = containers.get(pause)
    if holder is None or pause in found:
        return list(containers)
    # The engine ties them to the holder's id, not to its name.
    return found + [
        name
        for name, seen in containers.items()
        if name not in found and _moment(seen.created_at) < _moment(holder.created_at)
    ]


def holder_of(wanted: tuple[ContainerSettings, ...]) -> ContainerSettings | None:
    """The container that only holds the network, where there is one."""
    return next((settings for settings in wanted if _is_pause(settings)), None)


def replacement(
    wanted: tuple[ContainerSettings, ...], old: list[str], containers: Mapping[str, ContainerState]
) -> tuple[ContainerSettings, ...]:
    """What will have to be created once the `old` ones are removed."""
    return tuple(settings for settings in wanted if settings.name in old or settings.name not in containers)


def meanwhile(containers: Mapping[str, ContainerState]) -> InstanceState:
    """State of an instance whose change waits for images."""
    return "running" if any(container.state in RUNNING for container in containers.values()) else "preparing"


def keep_going(seen: Seen, now: float, policies: Policies) -> tuple[Start, ...]:
    """Start again what has ended of an instance that is to be changed, while the change waits."""
    return tuple(
        Start(name)
        for name, container in seen.containers.items()
        if container.state == "exited"
        and not stays_down(policies.get(container.labels.get(CONTAINER_LABEL, ""), "always"), container)
        and seen.remembered(name).not_before <= now
    )


def _replace(wanted: tuple[ContainerSettings, ...], old: list[str], seen: Seen, now: float, policies: Policies) -> Step:
    """The new images first: until they are there, what runs goes on running."""
    needs = replacement(wanted, old, seen.containers)
    wait = max((seen.remembered(image_of(settings.name)).not_before for settings in needs), default=0.0)
    upkeep = keep_going(seen, now, policies)
    if wait > now:
        return Step(meanwhile(seen.containers), upkeep, wait)
    return Step("stopping", tuple(Remove(name, anew=True) for name in old), needs=needs, upkeep=upkeep)


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
        if container is None or container.state not in RUNNING or _is_pause(settings):
            continue
        orphaned = holder is not None and _moment(container.started_at) < _moment(holder.started_at)
        if orphaned or settings.name in seen.unwell:
            found.append(settings.name)
    return found


def _policy(settings: ContainerSettings, policies: Policies) -> Restart:
    return policies.get(settings.labels[CONTAINER_LABEL], "always")


def _is_pause(settings: ContainerSettings) -> bool:
    return settings.labels[CONTAINER_LABEL] == PAUSE


def _moment(time: str) -> str:
    """RFC 3339 with as many digits as the engine likes: without the Z, text sorts as time."""
    return time.removesuffix("Z")
