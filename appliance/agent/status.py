"""An instance's status, worked out from what was decided and what was seen. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.agent.job_step import job_status, why_failed
from appliance.agent.step import RUNNING, Seen, Step
from appliance.engine.container import CONTAINER_LABEL, PAUSE, RESTART_LABEL
from appliance.engine.engine import ContainerState
from appliance.engine.hook import HOOK_LABEL
from appliance.model.container import Container
from appliance.model.instance import Assignment, ContainerStatus, InstanceStatus
from appliance.model.moment import now_text

SETTLED_AFTER = 1.0
"""Seconds for which a container without a start or ready probe has to stay up before it counts as ready."""


@dataclass(frozen=True)
class View:
    """What a status is made of. `trouble`: what the last action failed with ("" : nothing); `probed`: every start and
    ready probe says yes."""

    assignment: Assignment
    step: Step
    seen: Seen
    probed: bool
    trouble: str = ""


def status_of(view: View, node: str, before: InstanceStatus | None) -> InstanceStatus:
    """`before`: the instance's status until now."""
    assignment, step = view.assignment, view.step
    found = dict(_members(view.seen))
    shown = tuple(_container(assignment, state, view.seen) for _, state in sorted(found.items()))
    restarts = (int(state.labels.get(RESTART_LABEL, "0")) for _, state in _group(view.seen))
    restart = min(restarts, default=assignment.restart)
    return InstanceStatus(
        instance=assignment.instance,
        node=node,
        state=step.state,
        ready=_ready(view),
        ip=assignment.ip,
        revision=before.revision if before is not None and _outlives(step) else assignment.revision,
        restart=restart,
        generation=assignment.generation,
        restarts=sum(container.restarts for container in shown),
        failures=_failures(view),
        since=before.since if before is not None and before.state == step.state else now_text(),
        message=view.trouble or step.message or _why_down(view),
        containers=shown,
        job=job_status(assignment.job, view.seen.tries, _job_container(view)) if assignment.job else None,
    )


def _outlives(step: Step) -> bool:
    """Whether what runs is of the revision before, until the images of the newer one are there."""
    return bool(step.needs) and step.state == "running"


def turns_in(view: View) -> float | None:
    """Seconds until time alone changes the status, None : it does not."""
    left: list[float] = []
    for name, state in _members(view.seen):
        spec = _spec(view.assignment, state)
        if state.state not in RUNNING or spec is None or view.assignment.job is not None:
            continue
        ran = view.seen.running_for(state)
        if not _settled(spec, ran):
            left.append(SETTLED_AFTER - ran)
        if _failing(spec, name, state, view.seen):
            left.append(spec.stable_after - ran)
    return max(0.01, min(left)) if left else None


def _ready(view: View) -> bool:
    if view.step.state != "running" or view.step.actions or view.assignment.job is not None or not view.probed:
        return False
    up = {state.labels[CONTAINER_LABEL]: state for _, state in _members(view.seen) if state.state == "running"}
    return all(
        planned.name in up and _settled(planned.spec, view.seen.running_for(up[planned.name]))
        for planned in view.assignment.containers
    )


def _settled(spec: Container, ran: float) -> bool:
    """A program that ends at once is not ready before. A start in the future is one before the clock was set."""
    if spec.health.start is not None or spec.health.ready is not None:
        return True
    return not 0.0 <= ran < SETTLED_AFTER


def _failures(view: View) -> int:
    """Of what fares worst: a container, its image, or the hooks of a start."""
    found = [view.seen.life.failures] if view.seen.life is not None else []
    for name, memory in view.seen.memory.items():
        state = view.seen.containers.get(name)
        spec = _spec(view.assignment, state) if state is not None else None
        if state is None or spec is None or _failing(spec, name, state, view.seen):
            found.append(memory.failures)
    return max(found, default=0)


def _failing(spec: Container, name: str, state: ContainerState, seen: Seen) -> bool:
    """Its last end is not yet made good by staying up."""
    if not seen.remembered(name).failures:
        return False
    return state.state not in RUNNING or seen.running_for(state) <= spec.stable_after


def _members(seen: Seen) -> Iterator[tuple[str, ContainerState]]:
    """The containers that its author named."""
    return ((name, state) for name, state in _group(seen) if state.labels.get(CONTAINER_LABEL) != PAUSE)


def _group(seen: Seen) -> Iterator[tuple[str, ContainerState]]:
    """All that run on: without the one-shot containers of hooks."""
    return ((name, state) for name, state in seen.containers.items() if HOOK_LABEL not in state.labels)


def _spec(assignment: Assignment, state: ContainerState) -> Container | None:
    name = state.labels.get(CONTAINER_LABEL)
    return next((planned.spec for planned in assignment.containers if planned.name == name), None)


def _container(assignment: Assignment, seen: ContainerState, all_seen: Seen) -> ContainerStatus:
    spec = _spec(assignment, seen)
    return ContainerStatus(
        name=seen.labels.get(CONTAINER_LABEL, ""),
        id=seen.id,
        image=spec.image if spec is not None else seen.image_id,
        state=seen.state,
        started_at=seen.started_at,
        exit_code=seen.exit_code,
        restarts=all_seen.remembered(seen.name).restarts,
    )


def _job_container(view: View) -> ContainerState | None:
    return next((state for _, state in _members(view.seen)), None)


def _why_down(view: View) -> str:
    if view.assignment.job is not None:
        return why_failed(view.assignment.job, view.seen.tries, _job_container(view))
    if view.step.state not in ("backoff", "starting"):
        return ""
    members = sorted(_members(view.seen))
    if any(state.out_of_memory for _, state in members):
        return "ended for want of memory"
    ended = [
        f"{s.labels[CONTAINER_LABEL]} ended with code {s.exit_code}" for _, s in members if s.exit_code is not None
    ]
    return "; ".join(ended)
