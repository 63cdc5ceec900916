"""What a step of an instance with hooks is decided from: its containers and its hooks, sorted out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from appliance.agent.container_step import outdated
from appliance.agent.diary import News
from appliance.agent.plan import containers_of
from appliance.agent.record import Life
from appliance.agent.step import RUNNING, Remove, Seen, Step, Write
from appliance.engine.container import CONTAINER_LABEL, PAUSE, NodePlaces
from appliance.engine.engine import ContainerSettings, ContainerState
from appliance.engine.hook import HOOK_LABEL, hooks_at
from appliance.model.instance import Assignment, InstanceState
from appliance.model.service import Hook


@dataclass(frozen=True)
class Scene:
    """`group`: the containers of the instance, without one-shot containers, which are `shots`, both by engine name.

    `of`: the assignment whose hooks are due: after the start, that with which it was started.
    """

    assignment: Assignment
    places: NodePlaces
    seen: Seen
    now: float
    life: Life
    wanted: tuple[ContainerSettings, ...]
    group: Mapping[str, ContainerState]
    shots: Mapping[str, ContainerState]
    of: Assignment

    @property
    def hooks(self) -> tuple[Hook, ...]:
        unknown = self.life.moment != "pre" and self.life.started is None
        return () if unknown else hooks_at(self.of.hooks, self.life.moment)

    @property
    def alone(self) -> Seen:
        """As if there were no one-shot containers."""
        return replace(self.seen, containers=self.group)

    @property
    def up(self) -> bool:
        return any(container.state in RUNNING for container in members(self.group))

    def write(
        self,
        state: InstanceState,
        life: Life,
        needs: tuple[ContainerSettings, ...] = (),
        news: News | None = None,
    ) -> Step:
        return Step(state, (Write(life, news),), message=life.report, needs=needs)


def scene_of(assignment: Assignment, places: NodePlaces, seen: Seen, now: float) -> Scene:
    wanted = containers_of(assignment, places)
    group = {name: each for name, each in seen.containers.items() if HOOK_LABEL not in each.labels}
    shots = {name: each for name, each in seen.containers.items() if HOOK_LABEL in each.labels}
    life = seen.life or _supposed(assignment, wanted, group)
    of = assignment if life.moment == "pre" else life.started or assignment
    return Scene(assignment, places, seen, now, life, wanted, group, shots, of)


def _supposed(
    assignment: Assignment, wanted: tuple[ContainerSettings, ...], group: Mapping[str, ContainerState]
) -> Life:
    """Nothing is known. What runs was started in order; what is out of date had other hooks, or none."""
    if not any(container.state in RUNNING for container in members(group)):
        return Life()
    started = None if outdated(wanted, group) else assignment
    return Life(moment="after_start", done=len(assignment.hooks.after_start), started=started)


def members(group: Mapping[str, ContainerState]) -> list[ContainerState]:
    """The containers that their author named."""
    return [each for each in group.values() if each.labels.get(CONTAINER_LABEL) != PAUSE]


def without(shots: Mapping[str, ContainerState], kept: str) -> tuple[Remove, ...]:
    """Removes the one-shot containers, but for the one with the id `kept`, which has ended."""
    return tuple(Remove(name) for name, each in shots.items() if each.id != kept or each.state in RUNNING)
