"""What to do next with an instance that has hooks, or containers that are not always restarted: a pure decision.

Such an instance is started and stopped as a whole, in this order: ``pre`` hooks, containers, ``after_start`` hooks;
``before_stop`` hooks, stop, ``post`` hooks. `Life` says how far it has come; each advance is written down before
anything depends on it. So no hook is left out, and one is repeated only when its end could not be written down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import assert_never

import msgspec
from msgspec import structs

from appliance.agent.container_step import (
    container_step,
    holder_of,
    keep_going,
    meanwhile,
    outdated,
    replacement,
    run,
    stays_down,
    stop_all,
)
from appliance.agent.memory import pause_left
from appliance.agent.plan import containers_of, policies_of
from appliance.agent.record import Life
from appliance.agent.step import RUNNING, Action, Create, Execute, Remove, Seen, Start, Step, Stop, Write, image_of
from appliance.engine.container import CONTAINER_LABEL, DIGEST_LABEL, PAUSE, RESTART_LABEL, NodePlaces
from appliance.engine.engine import ContainerSettings, ContainerState
from appliance.engine.hook import HOOK_LABEL, MOMENTS, Moment, hook_container, hook_settings, hooks_at, is_one_shot
from appliance.model.instance import Assignment, InstanceState
from appliance.model.moment import seconds_of
from appliance.model.service import Hook


def has_life(assignment: Assignment, life: Life | None) -> bool:
    """Whether what was done for the instance has to be remembered; `life`: what is."""
    if _is_special(assignment):
        return True
    if life is None:
        return False
    return life.moment in ("before_stop", "post") or (life.started is not None and _is_special(life.started))


def hook_step(assignment: Assignment, places: NodePlaces, seen: Seen, now: float) -> Step:
    """`now` in seconds of the supervisor's clock."""
    scene = _scene(assignment, places, seen, now)
    match scene.life.moment:
        case "pre":
            return _begin(scene) if assignment.desired == "running" else _rest(scene)
        case "after_start":
            return _keep_up(scene)
        case "before_stop":
            return _take_down(scene)
        case "post":
            return _finish(scene)
        case moment:
            assert_never(moment)


def after_hook(life: Life, hook: Hook, failure: str, wall: float, one_shot: str = "") -> Life:
    """`life` once its hook that is due has ended; `failure`: one sentence, "" : it went well.

    `one_shot`: the engine's id of the container it ran in, if it had one of its own.
    """
    stopping = life.moment in ("before_stop", "post")
    if failure:
        life = structs.replace(life, report=failure, failed=one_shot)
    if not failure or stopping or hook.on_failure == "ignore":
        return structs.replace(life, done=life.done + 1)
    given_up = structs.replace(life, done=0, failures=life.failures + 1, failed_at=wall)
    # Before the containers were started there is nothing to stop.
    return given_up if life.moment == "pre" else structs.replace(given_up, moment="before_stop")


def hook_name(moment: Moment, number: int, hook: Hook) -> str:
    """As people read it: ``pre hook 1 (/bin/check)``."""
    return f"{moment.replace('_', ' ')} hook {number + 1} ({' '.join(hook.run)[:60]})"


@dataclass(frozen=True)
class _Scene:
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
        return any(container.state in RUNNING for container in _members(self.group))

    def write(self, state: InstanceState, life: Life, needs: tuple[ContainerSettings, ...] = ()) -> Step:
        return Step(state, (Write(life),), message=life.report, needs=needs)


def _scene(assignment: Assignment, places: NodePlaces, seen: Seen, now: float) -> _Scene:
    wanted = containers_of(assignment, places)
    group = {name: each for name, each in seen.containers.items() if HOOK_LABEL not in each.labels}
    shots = {name: each for name, each in seen.containers.items() if HOOK_LABEL in each.labels}
    life = seen.life or _supposed(assignment, wanted, group)
    of = assignment if life.moment == "pre" else life.started or assignment
    return _Scene(assignment, places, seen, now, life, wanted, group, shots, of)


def _supposed(
    assignment: Assignment, wanted: tuple[ContainerSettings, ...], group: Mapping[str, ContainerState]
) -> Life:
    """Nothing is known. What runs was started in order; what is out of date had other hooks, or none."""
    if not any(container.state in RUNNING for container in _members(group)):
        return Life()
    started = None if outdated(wanted, group) else assignment
    return Life(moment="after_start", done=len(assignment.hooks.after_start), started=started)


# -- nothing of it was started ---------------------------------------------------------------------------------------


def _rest(scene: _Scene) -> Step:
    """It is not to run. What a failed hook left stays until the instance goes."""
    kept = scene.life.failed if scene.assignment.desired == "stopped" else ""
    if gone := _without(scene.shots, kept):
        return Step("stopping", gone)
    rest = Life(report=scene.life.report, failed=scene.life.failed)
    if scene.life != rest:
        return scene.write("stopping", rest)
    step = container_step(scene.assignment.desired, scene.wanted, scene.alone, scene.now)
    return replace(step, message=step.message or scene.life.report)


def _begin(scene: _Scene) -> Step:
    life, purpose = scene.life, _purpose(scene)
    if life.purpose != purpose:
        # Another start than the one that the hooks so far were for.
        anew = scene.write("starting", structs.replace(life, purpose=purpose, done=0, failures=0, report=""))
        return replace(anew, actions=(*_without(scene.shots, ""), *anew.actions))
    left = pause_left(life.failures, life.failed_at, scene.seen.wall)
    if left > 0:
        return Step("backoff", wait=scene.now + left, message=life.report)
    old = outdated(scene.wanted, scene.group)
    needs = _needs(scene, old)
    wait = _image_wait(scene, needs)
    if wait > scene.now:
        return Step("backoff", wait=wait)
    if old:
        return Step("starting", tuple(Remove(name, anew=True) for name in old), needs=needs)
    if life.done < len(scene.hooks):
        holder = holder_of(scene.wanted)
        network = run((holder,), scene.alone, scene.now, {}) if holder is not None else Step("running")
        due = network if network.actions or network.state == "backoff" else _hook(scene, "starting")
        return replace(due, needs=needs)
    # A start after a stop is one from nothing; else what its policy keeps down stays down.
    ended = [] if life.started is not None else [c.name for c in _members(scene.group) if c.state not in RUNNING]
    if ended:
        return Step("starting", tuple(Remove(name, anew=True) for name in ended), needs=needs)
    begun = structs.replace(life, moment="after_start", done=0, started=scene.assignment)
    return scene.write("starting", _settled(begun), needs)


# -- it was started ----------------------------------------------------------------------------------------------------


def _keep_up(scene: _Scene) -> Step:
    life = scene.life
    policies = policies_of(scene.assignment)
    old = outdated(scene.wanted, scene.group)
    # What is out of date stops as it was started; hooks alone may change without a stop.
    started = life.started if old else scene.assignment
    down = structs.replace(life, moment="before_stop", done=0, report="", started=started)
    if scene.assignment.desired != "running":
        return scene.write("stopping", down)
    if old:
        needs = _needs(scene, old)
        upkeep = keep_going(scene.alone, scene.now, policies)
        wait = _image_wait(scene, needs)
        if wait > scene.now:
            return Step(meanwhile(scene.group), upkeep, wait)
        return replace(scene.write("stopping", down, needs), upkeep=upkeep)
    if scene.seen.cold and not scene.up and _should_be_up(scene) and _lost_power(scene):
        again = scene.write("starting", structs.replace(life, moment="pre", done=0, report=""))
        return replace(again, actions=(*_without(scene.shots, ""), *again.actions))
    step = run(scene.wanted, scene.alone, scene.now, policies)
    if step.actions or step.state == "backoff":
        return step
    if life.done < len(scene.hooks):
        return _hook(scene, "starting")
    if life != (settled := _settled(life)):
        return scene.write("starting", settled)
    if gone := _without(scene.shots, life.failed):
        return Step(step.state, gone)
    return replace(step, message=step.message or life.report)


def _settled(life: Life) -> Life:
    """With the last hook of the start, nothing that failed before counts any more."""
    hooks = life.started.hooks.after_start if life.started is not None else ()
    if life.failures == 0 or life.done < len(hooks):
        return life
    return structs.replace(life, failures=0, report="")


def _lost_power(scene: _Scene) -> bool:
    """Rather than the agent, in the moment between the last ``pre`` hook and the first container."""
    ran = any(container.started_at for container in _members(scene.group))
    return ran or scene.life.purpose != _purpose(scene)


def _should_be_up(scene: _Scene) -> bool:
    policies = policies_of(scene.assignment)
    for settings in scene.wanted:
        container = scene.group.get(settings.name)
        policy = policies.get(settings.labels[CONTAINER_LABEL], "always")
        if settings is not holder_of(scene.wanted) and (container is None or not stays_down(policy, container)):
            return True
    return False


# -- it is stopped -----------------------------------------------------------------------------------------------------


def _take_down(scene: _Scene) -> Step:
    if scene.up and scene.life.done < len(scene.hooks):
        return _hook(scene, "stopping")
    up = stop_all({container.name: container for container in _members(scene.group)})
    if up.actions:
        return up
    return scene.write("stopping", structs.replace(scene.life, moment="post", done=0))


def _finish(scene: _Scene) -> Step:
    life = scene.life
    if life.done < len(scene.hooks):
        return _network(scene) or _hook(scene, "stopping")
    if gone := _without(scene.shots, life.failed):
        return Step("stopping", gone)
    return scene.write("stopping", structs.replace(life, moment="pre", done=0, started=None))


def _network(scene: _Scene) -> Step | None:
    """The network that the hook shares; None when it is there. Without it the hook is given up."""
    holder = holder_of(containers_of(scene.of, scene.places))
    if holder is None:
        return None
    found = scene.group.get(holder.name)
    if found is not None and found.state in RUNNING:
        return None
    if scene.seen.due(holder) > scene.now:
        return _over(scene, "stopping", "its network could not be started")
    action: Action = Start(holder.name) if found is not None else Create(holder)
    return Step("stopping", (action,), of=scene.of)


# -- the hook that is due ----------------------------------------------------------------------------------------------


def _hook(scene: _Scene, state: InstanceState) -> Step:
    moment, number = scene.life.moment, scene.life.done
    hook = scene.hooks[number]
    message = hook_name(moment, number, hook)
    if is_one_shot(hook, moment):
        return replace(_one_shot(scene, hook, state), message=message, of=scene.of)
    label = hook_container(scene.of, hook).name
    found = (each for each in _members(scene.group) if each.labels.get(CONTAINER_LABEL) == label)
    container = next(found, None)
    if container is None or container.state != "running":
        return _over(scene, state, f"{label} does not run")
    return Step(state, (Execute(scene.life, container.name),), message=message, of=scene.of)


def _one_shot(scene: _Scene, hook: Hook, state: InstanceState) -> Step:
    settings = hook_settings(scene.of, scene.life.moment, scene.life.done, scene.places)
    container = scene.shots.get(settings.name)
    again = container is not None and container.id == scene.life.failed
    others = {name: each for name, each in scene.shots.items() if name != settings.name or again}
    if gone := _without(others, "" if again else scene.life.failed):
        return Step(state, gone)
    if container is None or container.state == "created":
        due = scene.seen.due(settings)
        if due > scene.now and state == "stopping":
            return _over(scene, state, "it could not be started")
        if due > scene.now:
            return Step("backoff", wait=due)
        return Step(state, (Start(settings.name) if container else Create(settings, patient=state != "stopping"),))
    if container.state in RUNNING:
        left = seconds_of(container.started_at) + hook.timeout - scene.seen.wall
        if left <= 0:
            return Step(state, (Stop(settings.name),))
        return Step(state, wait=scene.now + min(left, hook.timeout))
    return _over(scene, state, _failure(container, hook), container.id)


def _failure(container: ContainerState, hook: Hook) -> str:
    """Both moments are of the same clock."""
    lasted = seconds_of(container.finished_at) - seconds_of(container.started_at) if container.finished_at else 0.0
    if lasted >= hook.timeout:
        return f"took longer than {hook.timeout:g} s"
    return "" if container.exit_code == 0 else f"ended with code {container.exit_code}"


def _over(scene: _Scene, state: InstanceState, failure: str, one_shot: str = "") -> Step:
    hook = scene.hooks[scene.life.done]
    told = f"{hook_name(scene.life.moment, scene.life.done, hook)} {failure}" if failure else ""
    return scene.write(state, after_hook(scene.life, hook, told, scene.seen.wall, one_shot))


# -- what the rest is made of ------------------------------------------------------------------------------------------


def _is_special(assignment: Assignment) -> bool:
    hooks = assignment.hooks
    some = hooks.pre or hooks.after_start or hooks.before_stop or hooks.post
    return bool(some) or any(planned.spec.restart != "always" for planned in assignment.containers)


def _members(group: Mapping[str, ContainerState]) -> list[ContainerState]:
    return [each for each in group.values() if each.labels.get(CONTAINER_LABEL) != PAUSE]


def _without(shots: Mapping[str, ContainerState], kept: str) -> tuple[Remove, ...]:
    """Removes the one-shot containers, but for the one with the id `kept`, which has ended."""
    return tuple(Remove(name) for name, each in shots.items() if each.id != kept or each.state in RUNNING)


def _purpose(scene: _Scene) -> str:
    """Equal while the same is to be started on the same run of the node."""
    made = [(each.labels[DIGEST_LABEL], each.labels[RESTART_LABEL]) for each in scene.wanted]
    what = (made, scene.assignment.hooks, scene.assignment.generation, scene.seen.boot)
    return sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()[:16]


def _needs(scene: _Scene, old: list[str]) -> tuple[ContainerSettings, ...]:
    """Everything whose image the start will take, so that it does not stop half-way."""
    hooks = scene.assignment.hooks
    shots = [
        hook_settings(scene.assignment, moment, number, scene.places)
        for moment in MOMENTS
        for number, hook in enumerate(hooks_at(hooks, moment))
        if is_one_shot(hook, moment)
    ]
    return (*replacement(scene.wanted, old, scene.group), *shots)


def _image_wait(scene: _Scene, needs: tuple[ContainerSettings, ...]) -> float:
    return max((scene.seen.remembered(image_of(settings.name)).not_before for settings in needs), default=0.0)
