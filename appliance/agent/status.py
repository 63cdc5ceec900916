"""An instance's status, worked out from what was seen. Pure."""

from collections.abc import Mapping

from appliance.agent.instance_step import Memory
from appliance.engine.container import CONTAINER_LABEL, PAUSE, RESTART_LABEL
from appliance.engine.engine import ContainerState
from appliance.model.instance import Assignment, ContainerStatus, InstanceState, InstanceStatus
from appliance.model.moment import now_text


def status_of(
    assignment: Assignment,
    node: str,
    state: InstanceState,
    containers: Mapping[str, ContainerState],
    memory: Mapping[str, Memory],
    *,
    ready: bool,
    trouble: str,
    before: InstanceStatus | None,
) -> InstanceStatus:
    """`containers` and `memory` are by engine name; `trouble` is what the last action failed with, "" : nothing."""
    images = {planned.name: planned.spec.image for planned in assignment.containers}
    shown = tuple(
        _container(seen, images, memory.get(name, Memory()).restarts)
        for name, seen in sorted(containers.items())
        if seen.labels.get(CONTAINER_LABEL) != PAUSE
    )
    restart = min((int(seen.labels.get(RESTART_LABEL, "0")) for seen in containers.values()), default=0)
    return InstanceStatus(
        instance=assignment.instance,
        node=node,
        state=state,
        ready=ready and state == "running",
        ip=assignment.ip,
        revision=assignment.revision,
        restart=restart if containers else assignment.restart,
        restarts=sum(container.restarts for container in shown),
        since=before.since if before is not None and before.state == state else now_text(),
        message=trouble or _why_down(state, shown, containers),
        containers=shown,
    )


def _container(seen: ContainerState, images: Mapping[str, str], restarts: int) -> ContainerStatus:
    name = seen.labels.get(CONTAINER_LABEL, "")
    return ContainerStatus(
        name=name,
        id=seen.id,
        image=images.get(name, seen.image_id),
        state=seen.state,
        started_at=seen.started_at,
        exit_code=seen.exit_code,
        restarts=restarts,
    )


def _why_down(
    state: InstanceState, shown: tuple[ContainerStatus, ...], containers: Mapping[str, ContainerState]
) -> str:
    if state not in ("backoff", "starting"):
        return ""
    if any(seen.out_of_memory for seen in containers.values()):
        return "ended for want of memory"
    ended = [f"{c.name} ended with code {c.exit_code}" for c in shown if c.exit_code is not None]
    return "; ".join(ended)
