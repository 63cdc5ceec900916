"""How far a service is from what was asked of it: what `--wait` waits for and `why` explains."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.api.revisions import in_effect
from appliance.api.rows import state_of
from appliance.api.wanted import wanted_names
from appliance.model.definition import definition
from appliance.model.instance import Instance, InstanceStatus
from appliance.model.service import Deploy, Revision, ServiceHead
from appliance.store import keys
from appliance.store.state import State


@dataclass(frozen=True)
class Progress:
    """`waiting` holds one sentence per instance that is not as wished; `done` means there is none."""

    service: str
    done: bool
    ready: int
    wanted: int
    revision: int
    waiting: tuple[str, ...] = ()


def progress(state: State, service: str) -> Progress:
    """A service that does not exist (any more) is done."""
    head = state.services.get(service)
    instances = dict(state.instances.below(f"{service}/"))
    if head is None:
        return Progress(service, True, 0, 0, 0)
    if head.deleted:
        waiting = tuple(f"{name} is being removed." for name in instances) or ("The last traces are being removed.",)
        return Progress(service, False, 0, 0, head.revision, waiting)
    revision = in_effect(state, head)
    if revision is None:
        return Progress(service, False, 0, 0, head.revision, ("Its revision is not known to this manager yet.",))
    names = wanted_names(state, revision, head)
    waiting = tuple(
        sentence for name, deploy in names.items() if (sentence := _missing(state, revision, head, name, deploy))
    ) + tuple(f"{name} is being removed." for name, one in instances.items() if name not in names and not one.run)
    ready = sum(_is_ready(state, name) for name in names)
    return Progress(service, not waiting, ready, len(names), head.revision, waiting)


def _missing(state: State, revision: Revision, head: ServiceHead, name: str, deploy: Deploy) -> str:
    """Empty when the instance is as wished."""
    instance, binding = state.instances.get(name), state.bindings.get(name)
    if instance is None or not _up_to_date(state, instance, revision, deploy.name):
        return f"{name} waits for its turn."
    if binding is None:
        refusal = state.refusals.get(name)
        return f"{name} has no node: {refusal.reason}" if refusal else f"{name} waits for a node."
    if name in head.moves and instance.move != head.moves[name].number:
        return f"{name} is being moved."
    status = state.instance_status.get(name)
    shown = state_of(binding, status, state.node_status.get(binding.node))
    reason = f": {status.message}" if status and status.message else "."
    wished = "stopped" if head.halted or name in head.stopped else "running"
    if status is None or shown != wished:
        return f"{name} is {shown}{reason}"
    if wished == "stopped":
        return ""
    if _seen(status) != (instance.revision, head.restarts.get(name, 0), head.generation):
        return f"{name} is being changed{reason}"
    return "" if status.ready else f"{name} runs and is not ready{reason}"


def _seen(status: InstanceStatus) -> tuple[int, int, int]:
    return status.revision, status.restart, status.generation


def _up_to_date(state: State, instance: Instance, revision: Revision, deploy: str) -> bool:
    """Whether the instance's revision asks for the same deploy as the wanted one does."""
    if instance.revision == revision.number:
        return True
    older = state.revision(instance.service, instance.revision)
    return older is not None and definition(older, deploy) == definition(revision, deploy)


def _is_ready(state: State, name: str) -> bool:
    status = state.instance_status.get(name)
    return status is not None and status.state == "running" and status.ready


class Changes:
    """Lets request threads sleep until the copy changes in a way that can move a service's progress."""

    def __init__(self, state: State) -> None:
        self._changed = threading.Condition()
        self._count = 0
        for prefix in (keys.SERVICES, keys.RUNS, keys.INSTANCES, keys.BINDINGS, keys.REFUSALS, keys.ROOT + "status/"):
            state.copy.subscribe(prefix, self._notice)

    def _notice(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_until(self, satisfied: Callable[[], bool], timeout: float) -> bool:
        """Whether `satisfied` became true; it is asked again after every change."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen = self._count
            if satisfied():
                return True
            with self._changed:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if self._count == seen:
                    self._changed.wait(left)
