"""Holds back containers until their images are there.

On a poor network that may take hours; none of the threads that keep the node's instances waits for it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from appliance.agent.images import PAUSE_IMAGE, ImageSource
from appliance.agent.step import Action, Create, Step
from appliance.engine.container import CONTAINER_LABEL, PAUSE, needs_pause
from appliance.engine.engine import ContainerSettings
from appliance.engine.hook import HOOK_LABEL, hook_image
from appliance.errors import ApplianceError
from appliance.model.container import Container
from appliance.model.instance import Assignment, PlannedContainer

_PAUSE = PlannedContainer(name=PAUSE, spec=Container(image=PAUSE_IMAGE))


@dataclass(frozen=True)
class Prepared:
    """`actions` can be done now, with the images of what they create; `missing` are the images that are brought."""

    actions: tuple[Action, ...]
    missing: tuple[str, ...] = ()


class Preparation:
    """Thread-safe. `brought` is called with the instance, the container's engine name and what went wrong."""

    def __init__(self, images: ImageSource, brought: Callable[[str, str, ApplianceError | None], None]) -> None:
        self._images = images
        self._brought = brought
        self._lock = threading.Lock()
        self._awaited: dict[str, dict[str, PlannedContainer]] = {}
        """Instance → engine name of a container → what it needs the image for."""

    def prepare(self, assignment: Assignment, step: Step) -> Prepared:
        """Returns at once; what cannot be done yet is asked for again after `brought`.

        `step` is all that there is to do: whatever else the instance waited for, it no longer does.
        """
        ready: list[Action] = []
        missing: dict[str, PlannedContainer] = {}
        for settings in step.needs:
            if self._images.find(_planned(assignment, settings)) is None:
                missing[settings.name] = _planned(assignment, settings)
        held = bool(missing)
        for action in step.actions:
            if not isinstance(action, Create):
                ready.append(action)
                continue
            planned = _planned(assignment, action.settings)
            image = self._images.find(planned)
            if image is None and action.patient:
                missing[action.settings.name] = planned
            else:
                # The engine says what is wrong with an image that it has not.
                ready.append(replace(action, settings=replace(action.settings, image=image or planned.spec.image)))
        self._await(assignment.instance, missing)
        # Without a pause container there is no network for the others to live in.
        blocked = held or _PAUSE in missing.values()
        return Prepared(() if blocked else tuple(ready), tuple(planned.spec.image for planned in missing.values()))

    def forget(self, instance: str) -> None:
        """It waits for nothing any more."""
        self._await(instance, {})

    def _await(self, instance: str, missing: dict[str, PlannedContainer]) -> None:
        with self._lock:
            before = self._awaited.pop(instance, {})
            if missing:
                self._awaited[instance] = dict(missing)
        for container, planned in missing.items():
            if before.get(container) != planned:
                self._images.bring(planned, partial(self._done, instance, container, planned))

    def _done(self, instance: str, container: str, planned: PlannedContainer, error: ApplianceError | None) -> None:
        with self._lock:
            awaited = self._awaited.get(instance, {})
            if awaited.get(container) != planned:
                return  # something else is wanted by now
            del awaited[container]
        self._brought(instance, container, error)


def _planned(assignment: Assignment, settings: ContainerSettings) -> PlannedContainer:
    if hook := settings.labels.get(HOOK_LABEL):
        return hook_image(assignment, hook)
    container = settings.labels[CONTAINER_LABEL]
    if container == PAUSE and needs_pause(assignment):
        return _PAUSE
    return next(planned for planned in assignment.containers if planned.name == container)
