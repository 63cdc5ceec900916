"""What to do next with an instance that has hooks, or containers that are not always restarted: a pure decision.

Such an instance is started and stopped as a whole, in this order: ``pre`` hooks, containers, ``after_start`` hooks;
``before_stop`` hooks, stop, ``post`` hooks. `Life` says how far it has come; each advance is written down before
anything depends on it. So no hook is left out, and one is repeated only when its end could not be written down.
"""

from dataclasses import replace
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
from appliance.agent.due_hook import due_hook, shared_network
from appliance.agent.memory import pause_left
from appliance.agent.plan import policies_of
from appliance.agent.record import Life
from appliance.agent.scene import Scene, members, scene_of, without
from appliance.agent.step import RUNNING, Remove, Seen, Step, image_of
from appliance.engine.container import CONTAINER_LABEL, DIGEST_LABEL, RESTART_LABEL, NodePlaces
from appliance.engine.engine import ContainerSettings
from appliance.engine.hook import MOMENTS, hook_settings, hooks_at, is_one_shot
from appliance.model.instance import Assignment


def has_life(assignment: Assignment, life: Life | None) -> bool:
    """Whether what was done for the instance has to be remembered; `life`: what is."""
    if _is_special(assignment):
        return True
    if life is None:
        return False
    return life.moment in ("before_stop", "post") or (life.started is not None and _is_special(life.started))


def hook_step(assignment: Assignment, places: NodePlaces, seen: Seen, now: float) -> Step:
    """`now` in seconds of the supervisor's clock."""
    scene = scene_of(assignment, places, seen, now)
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


# -- nothing of it was started ---------------------------------------------------------------------------------------


def _rest(scene: Scene) -> Step:
    """It is not to run. What a failed hook left stays until the instance goes."""
    kept = scene.life.failed if scene.assignment.desired == "stopped" else ""
    if gone := without(scene.shots, kept):
        return Step("stopping", gone)
    rest = Life(report=scene.life.report, failed=scene.life.failed)
    if scene.life != rest:
        return scene.write("stopping", rest)
    step = container_step(scene.assignment.desired, scene.wanted, scene.alone, scene.now)
    return replace(step, message=step.message or scene.life.report)


def _begin(scene: Scene) -> Step:
    life, purpose = scene.life, _purpose(scene)
    if life.purpose != purpose:
        # Another start than the one that the hooks so far were for.
        anew = scene.write("starting", structs.replace(life, purpose=purpose, done=0, failures=0, report=""))
        return replace(anew, actions=(*without(scene.shots, ""), *anew.actions))
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
        due = network if network.actions or network.state == "backoff" else due_hook(scene, "starting")
        return replace(due, needs=needs)
    # A start after a stop is one from nothing; else what its policy keeps down stays down.
    ended = [] if life.started is not None else [c.name for c in members(scene.group) if c.state not in RUNNING]
    if ended:
        return Step("starting", tuple(Remove(name, anew=True) for name in ended), needs=needs)
    begun = structs.replace(life, moment="after_start", done=0, started=scene.assignment)
    return scene.write("starting", _settled(begun), needs)


# -- it was started ----------------------------------------------------------------------------------------------------


def _keep_up(scene: Scene) -> Step:
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
        return replace(again, actions=(*without(scene.shots, ""), *again.actions))
    step = run(scene.wanted, scene.alone, scene.now, policies)
    if step.actions or step.state == "backoff":
        return step
    if life.done < len(scene.hooks):
        return due_hook(scene, "starting")
    if life != (settled := _settled(life)):
        return scene.write("starting", settled)
    if gone := without(scene.shots, life.failed):
        return Step(step.state, gone)
    return replace(step, message=step.message or life.report)


def _settled(life: Life) -> Life:
    """With the last hook of the start, nothing that failed before counts any more."""
    hooks = life.started.hooks.after_start if life.started is not None else ()
    if life.failures == 0 or life.done < len(hooks):
        return life
    return structs.replace(life, failures=0, report="")


def _lost_power(scene: Scene) -> bool:
    """Rather than the agent, in the moment between the last ``pre`` hook and the first container."""
    ran = any(container.started_at for container in members(scene.group))
    return ran or scene.life.purpose != _purpose(scene)


def _should_be_up(scene: Scene) -> bool:
    policies = policies_of(scene.assignment)
    for settings in scene.wanted:
        container = scene.group.get(settings.name)
        policy = policies.get(settings.labels[CONTAINER_LABEL], "always")
        if settings is not holder_of(scene.wanted) and (container is None or not stays_down(policy, container)):
            return True
    return False


# -- it is stopped -----------------------------------------------------------------------------------------------------


def _take_down(scene: Scene) -> Step:
    if scene.up and scene.life.done < len(scene.hooks):
        return due_hook(scene, "stopping")
    up = stop_all({container.name: container for container in members(scene.group)})
    if up.actions:
        return up
    return scene.write("stopping", structs.replace(scene.life, moment="post", done=0))


def _finish(scene: Scene) -> Step:
    life = scene.life
    if life.done < len(scene.hooks):
        return shared_network(scene) or due_hook(scene, "stopping")
    if gone := without(scene.shots, life.failed):
        return Step("stopping", gone)
    return scene.write("stopping", structs.replace(life, moment="pre", done=0, started=None))


# -- what the rest is made of ------------------------------------------------------------------------------------------


def _is_special(assignment: Assignment) -> bool:
    hooks = assignment.hooks
    some = hooks.pre or hooks.after_start or hooks.before_stop or hooks.post
    return bool(some) or any(planned.spec.restart != "always" for planned in assignment.containers)


def _purpose(scene: Scene) -> str:
    """Equal while the same is to be started on the same run of the node."""
    made = [(each.labels[DIGEST_LABEL], each.labels[RESTART_LABEL]) for each in scene.wanted]
    what = (made, scene.assignment.hooks, scene.assignment.generation, scene.seen.boot)
    return sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()[:16]


def _needs(scene: Scene, old: list[str]) -> tuple[ContainerSettings, ...]:
    """Everything whose image the start will take, so that it does not stop half-way."""
    hooks = scene.assignment.hooks
    shots = [
        hook_settings(scene.assignment, moment, number, scene.places)
        for moment in MOMENTS
        for number, hook in enumerate(hooks_at(hooks, moment))
        if is_one_shot(hook, moment)
    ]
    return (*replacement(scene.wanted, old, scene.group), *shots)


def _image_wait(scene: Scene, needs: tuple[ContainerSettings, ...]) -> float:
    return max((scene.seen.remembered(image_of(settings.name)).not_before for settings in needs), default=0.0)
