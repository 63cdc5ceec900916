"""The words in which a step of an instance is decided: what was seen, what can be done, what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.agent.diary import News
from appliance.agent.memory import Memory
from appliance.agent.record import Life, Record, Tries
from appliance.engine.engine import ContainerSettings, ContainerState
from appliance.model.instance import Assignment, InstanceState
from appliance.model.moment import seconds_of

RUNNING = ("running", "paused", "restarting")
"""States of a container whose program has not ended."""


@dataclass(frozen=True)
class Create:
    """Create with an image that is there, and `start`. Unless `patient`, an image that is not there is a failure."""

    settings: ContainerSettings
    start: bool = True
    patient: bool = True


@dataclass(frozen=True)
class Start:
    name: str


@dataclass(frozen=True)
class Stop:
    """`again`: so that it is started again, which counts as a restart."""

    name: str
    again: bool = False


@dataclass(frozen=True)
class Remove:
    """Stop with grace, then remove. `anew`: what comes in its place is not held responsible for its past."""

    name: str
    anew: bool = False


@dataclass(frozen=True)
class Write:
    """Make durable, before anything else is done. `news`: what people are to hear of it."""

    record: Record
    news: News | None = None


@dataclass(frozen=True)
class Execute:
    """Run the hook that is due after `life` in the running container `name`, and write down how it ended."""

    life: Life
    name: str


Action = Create | Start | Stop | Remove | Write | Execute


@dataclass(frozen=True)
class Step:
    """Do `actions`, then look again; with none to do, look at `wait` (seconds of the clock), None : when woken.

    `needs`: containers whose images have to be there before `actions` are done; until then, do `upkeep`. `of`: the
    assignment that the actions belong to, None : the present one.
    """

    state: InstanceState
    actions: tuple[Action, ...] = ()
    wait: float | None = None
    message: str = ""
    needs: tuple[ContainerSettings, ...] = ()
    upkeep: tuple[Action, ...] = ()
    of: Assignment | None = None


@dataclass(frozen=True)
class Seen:
    """`containers` by engine name; `memory` (also by `image_of`) and `unwell` (a probe says no) by engine name as well.

    `cold`: nothing of it ran when the agent started, and it was not started since. `wall`: seconds since 1970. `boot`
    tells one run of the node from the next. `ran`: engine name → for how many seconds what runs has run, by a clock
    that nobody sets, where that is known.
    """

    containers: Mapping[str, ContainerState]
    memory: Mapping[str, Memory] = field(default_factory=dict)
    unwell: frozenset[str] = frozenset()
    life: Life | None = None
    tries: Tries = field(default_factory=Tries)
    cold: bool = False
    wall: float = 0.0
    boot: str = ""
    ran: Mapping[str, float] = field(default_factory=dict)

    def running_for(self, container: ContainerState) -> float:
        """Seconds since its start: where nothing better is known, by the engine's note of it and the node's clock."""
        known = self.ran.get(container.name)
        return self.wall - seconds_of(container.started_at) if known is None else known

    def remembered(self, name: str) -> Memory:
        return self.memory.get(name, Memory())

    def due(self, settings: ContainerSettings) -> float:
        """Moment of the clock before which the container is neither made nor started."""
        image = 0.0 if settings.name in self.containers else self.remembered(image_of(settings.name)).not_before
        return max(self.remembered(settings.name).not_before, image)


def image_of(container: str) -> str:
    """Under which the failures to bring a container's image are remembered: they are not the container's own."""
    return f"{container} image"
