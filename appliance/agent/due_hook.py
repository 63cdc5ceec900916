"""The hook that is due: how it is run, watched and judged. Pure."""

from dataclasses import replace

from msgspec import structs

from appliance.agent.container_step import holder_of
from appliance.agent.diary import News
from appliance.agent.plan import containers_of
from appliance.agent.record import Life
from appliance.agent.scene import Scene, members, without
from appliance.agent.step import RUNNING, Action, Create, Execute, Start, Step, Stop
from appliance.engine.container import CONTAINER_LABEL
from appliance.engine.engine import ContainerState
from appliance.engine.hook import Moment, hook_container, hook_settings, is_one_shot
from appliance.model.instance import InstanceState
from appliance.model.moment import seconds_of
from appliance.model.service import Hook


def due_hook(scene: Scene, state: InstanceState) -> Step:
    """The next step of the hook after those that are done; there must be one. `state`: that of the instance."""
    moment, number = scene.life.moment, scene.life.done
    hook = scene.hooks[number]
    message = hook_name(moment, number, hook)
    if is_one_shot(hook, moment):
        return replace(_one_shot(scene, hook, state), message=message, of=scene.of)
    label = hook_container(scene.of, hook).name
    found = (each for each in members(scene.group) if each.labels.get(CONTAINER_LABEL) == label)
    container = next(found, None)
    if container is None or container.state != "running":
        return _over(scene, state, f"{label} does not run")
    return Step(state, (Execute(scene.life, container.name),), message=message, of=scene.of)


def shared_network(scene: Scene) -> Step | None:
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


def hook_news(life: Life, hook: Hook, failure: str) -> News:
    """What is told of the hook that was due. `failure`: what it did, "" : it went well."""
    name = hook_name(life.moment, life.done, hook)
    return News("hook", f"{name} {failure or 'went well'}", bad=bool(failure))


def hook_name(moment: Moment, number: int, hook: Hook) -> str:
    """As people read it: ``pre hook 1 (/bin/check)``."""
    return f"{moment.replace('_', ' ')} hook {number + 1} ({' '.join(hook.run)[:60]})"


def _one_shot(scene: Scene, hook: Hook, state: InstanceState) -> Step:
    settings = hook_settings(scene.of, scene.life.moment, scene.life.done, scene.places)
    container = scene.shots.get(settings.name)
    again = container is not None and container.id == scene.life.failed
    others = {name: each for name, each in scene.shots.items() if name != settings.name or again}
    if gone := without(others, "" if again else scene.life.failed):
        return Step(state, gone)
    if container is None or container.state == "created":
        due = scene.seen.due(settings)
        if due > scene.now and state == "stopping":
            return _over(scene, state, "it could not be started")
        if due > scene.now:
            return Step("backoff", wait=due)
        return Step(state, (Start(settings.name) if container else Create(settings, patient=state != "stopping"),))
    if container.state in RUNNING:
        left = hook.timeout - scene.seen.running_for(container)
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


def _over(scene: Scene, state: InstanceState, failure: str, one_shot: str = "") -> Step:
    hook, life = scene.hooks[scene.life.done], scene.life
    news = hook_news(life, hook, failure)
    after = after_hook(life, hook, news.message if failure else "", scene.seen.wall, one_shot)
    return scene.write(state, after, news=news)
