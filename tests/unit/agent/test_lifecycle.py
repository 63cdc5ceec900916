"""The life of an instance for every combination of what is wanted and what is seen, and for every moment of a crash.

The engine here obeys at once and is a value; what the steps ask for is done to it, as `agent/work.py` does it to the
real one. A crash is a step of which only the first actions were done, after which everything in memory is forgotten.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as some

from appliance.agent.due_hook import after_hook
from appliance.agent.instance_step import instance_step
from appliance.agent.memory import Memory
from appliance.agent.plan import containers_of
from appliance.agent.record import LOST, Life, Record, Tries
from appliance.agent.step import RUNNING, Action, Create, Execute, Remove, Seen, Start, Step, Stop, Write
from appliance.agent.work import runs_for_instance
from appliance.engine.container import CONTAINER_LABEL, PAUSE, NodePlaces
from appliance.engine.engine import ContainerSettings, ContainerState, RunState
from appliance.engine.hook import HOOK_LABEL, MOMENTS, hook_settings, hooks_at, is_one_shot
from appliance.model.container import Container
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.job import JobPlan
from appliance.model.moment import text_of
from appliance.model.service import Hook, Hooks
from appliance.model.wish import Desired

PLACES = NodePlaces("r", "net", "/volumes", "/memory")
TIME = 1_800_000_000.0
ENOUGH = 120
"""Steps after which an engine that obeys must have got there."""

HOOK = some.builds(
    Hook,
    run=some.just(("/hook",)),
    timeout=some.sampled_from([1.0, 60.0]),
    on_failure=some.sampled_from(["fail", "ignore"]),
    image=some.sampled_from(["", "tools:1"]),
)
SOME_HOOKS = some.lists(HOOK, max_size=2).map(tuple)
HOOKS = some.builds(Hooks, pre=SOME_HOOKS, after_start=SOME_HOOKS, before_stop=SOME_HOOKS, post=SOME_HOOKS)
SPEC = some.builds(Container, image=some.just("web:1"), restart=some.sampled_from(["always", "on-failure", "never"]))
JOB = some.builds(
    JobPlan,
    type=some.sampled_from(["once", "normal"]),
    retries=some.integers(0, 2),
    timeout=some.sampled_from([0.0, 5.0]),
)
DESIRED: some.SearchStrategy[Desired] = some.sampled_from(["running", "stopped", "removed"])


@some.composite
def assignments(draw: some.DrawFn, job: bool | None = None, hooks: bool | None = None) -> Assignment:
    is_job = draw(some.booleans()) if job is None else job
    with_hooks = not is_job and (draw(some.booleans()) if hooks is None else hooks)
    names = ["main"] if is_job else draw(some.sampled_from([["main"], ["main", "log"]]))
    host = draw(some.booleans())
    return Assignment(
        instance="shop/web-1",
        service="shop",
        deploy="web",
        index=1,
        revision=1,
        ip="" if host else "10.0.0.5",
        host_network=host,
        desired=draw(DESIRED),
        restart=draw(some.integers(0, 1)),
        containers=tuple(PlannedContainer(name=name, spec=draw(SPEC)) for name in names),
        hooks=draw(HOOKS) if with_hooks else Hooks(),
        job=draw(JOB) if is_job else None,
    )


@dataclass
class World:
    """A node: `containers` and `record` outlive the agent, `cold` and `memory` do not."""

    containers: dict[str, ContainerState] = field(default_factory=dict)
    record: Record | None = None
    memory: dict[str, Memory] = field(default_factory=dict)
    cold: bool = False
    wall: float = TIME
    made: int = 0
    starts: list[str] = field(default_factory=list)
    """What was started, and which hooks were run to their end, in order."""

    def seen(self) -> Seen:
        return Seen(
            dict(self.containers),
            dict(self.memory),
            life=self.record if isinstance(self.record, Life) else None,
            tries=self.record if isinstance(self.record, Tries) else Tries(),
            cold=self.cold,
            wall=self.wall,
            boot="b1",
        )

    def do(self, of: Assignment, action: Action, code: int = 0) -> None:
        self.wall += 0.01
        match action:
            case Write(record):
                self.record = record
            case Create(made, start, _):
                self.made += 1
                self.containers[made.name] = _state(made, f"id{self.made}", "created", self.wall)
                if start:
                    self.start(made.name, code)
            case Start(name):
                self.start(name, code)
            case Stop(name):
                self.end(name, 137)
            case Remove(name):
                self.containers.pop(name, None)
            case Execute(life, _):
                hook = hooks_at(of.hooks, life.moment)[life.done]
                self.starts.append(f"{life.moment}.{life.done}")
                self.record = after_hook(life, hook, "it failed" if code else "", self.wall)

    def start(self, name: str, code: int) -> None:
        """A hook's container has ended when it is looked at."""
        before = self.containers[name]
        self.starts.append(before.labels.get(HOOK_LABEL) or before.labels[CONTAINER_LABEL])
        at = text_of(datetime.fromtimestamp(self.wall, UTC))
        self.containers[name] = replace(before, state="running", exit_code=None, started_at=at, finished_at="")
        if HOOK_LABEL in before.labels:
            self.end(name, code)

    def end(self, name: str, code: int) -> None:
        self.wall += 0.01
        at = text_of(datetime.fromtimestamp(self.wall, UTC))
        found = self.containers[name]
        if found.state in RUNNING:
            self.containers[name] = replace(found, state="exited", exit_code=code, finished_at=at)

    def restart_agent(self) -> None:
        self.memory.clear()
        self.cold = not any(runs_for_instance(each) for each in self.containers.values())

    def steps(self, assignment: Assignment, code: int = 0) -> Iterator[Step]:
        """Until there is nothing left to do, not even later; an AssertionError when it does not come to that."""
        for _ in range(ENOUGH):
            step = instance_step(assignment, PLACES, self.seen(), self.wall)
            yield step
            if not step.actions and step.wait is None:
                return
            for action in step.actions:
                self.do(step.of or assignment, action, code)
            self.cold = self.cold and not step.actions
            self.wall = max(self.wall, step.wait or 0.0)
        raise AssertionError(f"it never ends: {self.starts[-10:]}")

    def settle(self, assignment: Assignment) -> Step:
        return list(self.steps(assignment))[-1]


def _state(made: ContainerSettings, id: str, state: RunState, wall: float) -> ContainerState:
    at = text_of(datetime.fromtimestamp(wall, UTC))
    return ContainerState(id=id, name=made.name, image_id="i", labels=made.labels, state=state, created_at=at)


# -- Total --


def _possible(assignment: Assignment) -> list[ContainerSettings]:
    """Everything that can be there of an instance."""
    shots = [
        hook_settings(assignment, moment, number, PLACES)
        for moment in MOMENTS
        for number, hook in enumerate(hooks_at(assignment.hooks, moment))
        if is_one_shot(hook, moment)
    ]
    return [*containers_of(assignment, PLACES), *shots]


STATES: some.SearchStrategy[RunState] = some.sampled_from(
    ["created", "running", "paused", "restarting", "removing", "exited", "dead"]
)
MOMENT = some.sampled_from(["", text_of(datetime.fromtimestamp(TIME, UTC)), "2026-01-01T00:00:00.123456789Z"])
CODE = some.sampled_from([None, 0, 1, 137])


@some.composite
def worlds(draw: some.DrawFn, assignment: Assignment) -> World:
    old = draw(assignments(job=assignment.job is not None))
    found: dict[str, ContainerState] = {}
    for made in (*_possible(old), *_possible(assignment)):
        if draw(some.booleans()):
            state = _state(made, draw(some.sampled_from(["id1", "id2"])), draw(STATES), TIME)
            found[made.name] = replace(state, started_at=draw(MOMENT), finished_at=draw(MOMENT), exit_code=draw(CODE))
    lives = some.builds(
        Life,
        moment=some.sampled_from(MOMENTS),
        done=some.integers(0, 3),
        purpose=some.sampled_from(["", "p"]),
        started=some.sampled_from([None, old, assignment]),
        failures=some.integers(0, 9),
        failed_at=some.sampled_from([0.0, TIME, TIME + 1e6]),
        failed=some.sampled_from(["", "id1"]),
    )
    tries = some.builds(Tries, count=some.integers(0, 4), mark=some.sampled_from(["?", "id1 ", "id2 "]))
    records: some.SearchStrategy[Record] = tries | some.just(LOST) if assignment.job else lives
    record = draw(some.none() | records)
    memory = {made.name: Memory(failures=3, not_before=TIME + 5) for made in _possible(old) if draw(some.booleans())}
    return World(found, record, memory, cold=draw(some.booleans()))


@settings(max_examples=80, deadline=None)
@given(some.data())
def test_whatever_is_seen_there_is_a_step_and_the_steps_come_to_an_end(data: some.DataObject) -> None:
    assignment = data.draw(assignments())
    world = data.draw(worlds(assignment))
    last = world.settle(assignment)
    if assignment.desired == "removed":
        assert (last.state, world.containers) == ("removed", {})
    elif assignment.desired == "stopped":
        assert last.state in ("stopped", "succeeded", "failed")
        assert not any(each.state in RUNNING for each in world.containers.values())
    elif assignment.job is None:
        assert last.state in ("running", "stopped")
        shown = {made.name for made in containers_of(assignment, PLACES)}
        assert shown <= set(world.containers)


# -- Jobs --


@settings(max_examples=60, deadline=None)
@given(some.data())
def test_a_job_is_started_no_more_often_than_it_may_be_whatever_dies_when(data: some.DataObject) -> None:
    assignment = msgspec.structs.replace(data.draw(assignments(job=True)), desired="running")
    assert assignment.job is not None
    world = World()
    for _ in range(data.draw(some.integers(0, 40))):
        match data.draw(some.sampled_from(["step", "step", "crash", "agent", "end", "prune", "wait"])):
            case "step" | "crash" as how:
                step = instance_step(assignment, PLACES, world.seen(), world.wall)
                done = len(step.actions) if how == "step" else data.draw(some.integers(0, len(step.actions)))
                for action in step.actions[:done]:
                    world.do(assignment, action)
                if how == "crash":
                    world.restart_agent()
            case "agent":
                world.restart_agent()
            case "end":
                for name in world.containers:
                    world.end(name, data.draw(some.sampled_from([0, 1])))
            case "prune":
                world.containers.clear()
            case _:
                world.wall += 60
    limit = 1 if assignment.job.type == "once" else 1 + assignment.job.retries
    assert world.starts.count("main") <= limit


# -- Hooks --


def _expected(hooks: Hooks, names: list[str]) -> list[str]:
    pre = [f"pre.{number}" for number in range(len(hooks.pre))]
    return pre + names + [f"after_start.{number}" for number in range(len(hooks.after_start))]


@settings(max_examples=60, deadline=None)
@given(some.data())
def test_no_hook_is_left_out_or_repeated_when_the_agent_dies_between_any_two_steps(data: some.DataObject) -> None:
    """The agent is killed after some actions of some steps; the end of a hook and its record are one moment here."""
    assignment = msgspec.structs.replace(data.draw(assignments(job=False, hooks=True)), desired="running")
    world = World(cold=True)
    for step in world.steps(assignment):
        kills = data.draw(some.booleans())
        done = data.draw(some.integers(0, len(step.actions))) if kills else 0
        for action in step.actions[:done]:
            world.do(step.of or assignment, action)
        if kills:
            world.restart_agent()
            break
    world.settle(assignment)
    names = [planned.name for planned in assignment.containers]
    told = [each for each in world.starts if each != PAUSE]
    assert told == _expected(assignment.hooks, names)
    stopped = msgspec.structs.replace(assignment, desired="stopped")
    world.starts.clear()
    world.settle(stopped)
    told = [each for each in world.starts if each != PAUSE]
    down = [f"before_stop.{number}" for number in range(len(assignment.hooks.before_stop))]
    assert told == down + [f"post.{number}" for number in range(len(assignment.hooks.post))]


@settings(max_examples=60, deadline=None)
@given(some.data())
def test_no_container_is_started_while_a_pre_hook_is_open(data: some.DataObject) -> None:
    assignment = msgspec.structs.replace(data.draw(assignments(job=False, hooks=True)), desired="running")
    world = data.draw(worlds(assignment))
    for step in world.steps(assignment):
        life = world.record
        is_open = isinstance(life, Life) and life.moment == "pre" and life.done < len(assignment.hooks.pre)
        for action in step.actions:
            if is_open and isinstance(action, Create | Start):
                name = action.settings.name if isinstance(action, Create) else action.name
                made = next(each for each in _possible(assignment) if each.name == name)
                assert HOOK_LABEL in made.labels or made.labels[CONTAINER_LABEL] == PAUSE


@settings(max_examples=40, deadline=None)
@given(assignments(job=False, hooks=True))
def test_a_start_whose_hooks_keep_failing_never_counts_as_running(assignment: Assignment) -> None:
    assignment = msgspec.structs.replace(assignment, desired="running")
    fatal = [each for each in (*assignment.hooks.pre, *assignment.hooks.after_start) if each.on_failure == "fail"]
    states = []
    with contextlib.suppress(AssertionError):  # it is tried again for ever
        for step in World().steps(assignment, code=1):
            states.append(step.state)
    assert not (fatal and "running" in states)
