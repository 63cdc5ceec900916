"""What the one-shot container of a hook is made of, worked out as a value. Pure.

It is the container that the hook names, with another command, and with another image where the hook has one of its own.
"""

from dataclasses import replace
from typing import Literal

from appliance.engine.container import NodePlaces, container_name, settings_for
from appliance.engine.engine import ContainerSettings
from appliance.model.container import Container
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.service import Hook, Hooks

HOOK_LABEL = "appliance.hook"
"""``pre.0``: the moment, and which of its hooks; only one-shot containers carry it."""

Moment = Literal["pre", "after_start", "before_stop", "post"]
MOMENTS: tuple[Moment, ...] = ("pre", "after_start", "before_stop", "post")


def hooks_at(hooks: Hooks, moment: str) -> tuple[Hook, ...]:
    """KeyError for what is no moment."""
    return {
        "pre": hooks.pre,
        "after_start": hooks.after_start,
        "before_stop": hooks.before_stop,
        "post": hooks.post,
    }[moment]


def is_one_shot(hook: Hook, moment: Moment) -> bool:
    """Else it runs in a container of the instance that runs already."""
    return bool(hook.image) or moment in ("pre", "post")


def one_shots(hooks: Hooks) -> tuple[str, ...]:
    """Names of the one-shot containers, as their labels have them: ``pre.0``."""
    return tuple(
        f"{moment}.{number}"
        for moment in MOMENTS
        for number, hook in enumerate(hooks_at(hooks, moment))
        if is_one_shot(hook, moment)
    )


def hook_settings(assignment: Assignment, moment: Moment, number: int, places: NodePlaces) -> ContainerSettings:
    """The one-shot container of a hook, without an image."""
    hook = hooks_at(assignment.hooks, moment)[number]
    base = settings_for(assignment, hook_container(assignment, hook), "", places)
    return replace(
        base,
        name=container_name(places.root_id, assignment.instance, f"{moment}.{number}"),
        labels={**base.labels, HOOK_LABEL: f"{moment}.{number}"},
        entrypoint=hook.run,
        command=(),
        ports=(),
    )


def hook_container(assignment: Assignment, hook: Hook) -> PlannedContainer:
    """The container of the instance that the hook belongs to; the first when there is none of that name."""
    named = (planned for planned in assignment.containers if planned.name == hook.container)
    return next(named, assignment.containers[0])


def hook_image(assignment: Assignment, label: str) -> PlannedContainer:
    """How to find the image of the one-shot container with this label; KeyError or IndexError when there is none."""
    moment, _, number = label.partition(".")
    hook = hooks_at(assignment.hooks, moment)[int(number)]
    if not hook.image:
        return hook_container(assignment, hook)
    images = (planned for planned in assignment.hook_images if planned.name == hook.image)
    return next(images, PlannedContainer(name=hook.image, spec=Container(image=hook.image)))
