"""Keeps the containers of this node as its assignments want them, sidecars and users' instances alike.

One thread hears the engine's events, one decides whose turn it is, a few work; an instance is never worked on by two.
Stopping the supervisor never stops a container: the next one finds them by their labels and goes on.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from appliance.agent.assignments import AssignmentBook
from appliance.agent.health import Health, Target
from appliance.agent.images import ImageSource
from appliance.agent.instance_step import Action, Create, Memory, Remove, Seen, Start, Step, Stop, step
from appliance.agent.preparation import Preparation
from appliance.agent.provision import Provision
from appliance.agent.reporter import Reporter
from appliance.agent.status import status_of
from appliance.engine.container import (
    INSTANCE_LABEL,
    PAUSE,
    ROOT_LABEL,
    NodePlaces,
    container_name,
    needs_pause,
    pause_settings,
    settings_for,
)
from appliance.engine.engine import ContainerSettings, ContainerState, Engine, EngineEvent, Events
from appliance.errors import ApplianceError
from appliance.model.instance import Assignment, InstanceState, InstanceStatus

log = logging.getLogger(__name__)

WORKERS = 4
STOPS = 64
"""Stops at the same time: they mostly wait for a container's own grace."""
LEFTOVER_GRACE = 10.0
_EVENTS_AGAIN = 0.5


class Supervisor:
    """A component. `clock` counts seconds; only its differences matter."""

    name = "supervisor"

    def __init__(
        self,
        engine: Engine,
        book: AssignmentBook,
        images: ImageSource,
        reporter: Reporter,
        provision: Provision,
        places: NodePlaces,
        node_id: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._book = book
        self._preparation = Preparation(images, self._brought)
        self._reporter = reporter
        self._provision = provision
        self._places = places
        self._node_id = node_id
        self._clock = clock
        self._health = Health(engine, self.wake, clock)
        self._turn = threading.Condition()
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._stale: set[str] = set()
        self._seen: dict[str, dict[str, ContainerState]] = {}
        self._deaths: dict[str, int] = {}
        self._memory: dict[str, Memory] = {}
        self._ending: set[str] = set()
        self._trouble: dict[str, str] = {}
        self._statuses: dict[str, InstanceStatus] = {}
        self._synced = False
        self._stopping = threading.Event()
        self._events: Events | None = None
        self._threads: list[threading.Thread] = []
        self._workers = ThreadPoolExecutor(WORKERS, "instance")
        self._stops = ThreadPoolExecutor(STOPS, "stop")
        book.subscribe(self._ordered)

    # -- the component, from any thread ----------------------------------------------------------------------------

    def start(self) -> None:
        self._health.start()
        for work in (self._hear, self._dispatch):
            thread = threading.Thread(target=work, name=f"supervisor{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """What is being done to an instance may go on in the engine; no container is stopped because of this."""
        self._stopping.set()
        with self._turn:
            self._turn.notify_all()
            events = self._events
        if events is not None:
            events.close()
        self._health.stop()
        for thread in self._threads:
            thread.join(5.0)
        self._threads.clear()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._stops.shutdown(wait=False, cancel_futures=True)

    def wake(self, instance: str) -> None:
        self._later(instance, 0.0)

    def statuses(self) -> tuple[InstanceStatus, ...]:
        """The latest of every instance this node has to run."""
        with self._turn:
            return tuple(self._statuses.values())

    # -- what happens ----------------------------------------------------------------------

    def _ordered(self, instance: str) -> None:
        if instance:
            self.wake(instance)
            return
        # Full orders: from now on, what nobody wants may go.
        with self._turn:
            leftovers = list(self._seen)
        for name in leftovers:
            self.wake(name)

    def _hear(self) -> None:
        """Subscribe first, list second, so that nothing falls between; the same again whenever the stream breaks."""
        complaint = ""
        while not self._stopping.is_set():
            try:
                events = self._engine.events({ROOT_LABEL: self._places.root_id})
                with self._turn:
                    self._events = events
                if self._stopping.is_set():
                    events.close()
                    return
                self._look_at_everything()
                complaint = ""
                for event in events:
                    self._happened(event)
            except Exception as error:  # noqa: BLE001 - the edge of the loop
                if str(error) != complaint and not self._stopping.is_set():
                    log.warning("supervisor: %s; trying again", error)
                complaint = str(error)
            self._stopping.wait(_EVENTS_AGAIN)

    def _look_at_everything(self) -> None:
        found: dict[str, dict[str, ContainerState]] = {}
        for container in self._engine.list({ROOT_LABEL: self._places.root_id}):
            found.setdefault(container.labels[INSTANCE_LABEL], {})[container.name] = container
        wanted = self._book.all()
        with self._turn:
            for name in {*found, *self._seen}:
                if name in self._busy:
                    self._stale.add(name)
                else:
                    self._seen[name] = found.get(name, {})
            # The engine is back, or new: whatever failed may succeed now.
            self._memory = {name: replace(memory, not_before=0.0) for name, memory in self._memory.items()}
            self._synced = True
        for name in {*found, *wanted}:
            self.wake(name)

    def _happened(self, event: EngineEvent) -> None:
        if event.action not in ("die", "destroy"):
            return
        instance = event.labels.get(INSTANCE_LABEL, "")
        with self._turn:
            self._deaths[event.name] = self._deaths.get(event.name, 0) + 1
            group = self._seen.get(instance, {})
            known = group.get(event.name)
            if known is not None and event.action == "destroy":
                del group[event.name]
            elif known is not None and event.at > _seconds(known.started_at):
                group[event.name] = replace(known, state="exited", exit_code=event.exit_code, pid=0)
                if event.name not in self._ending:
                    self._note_end(event.name, event.at - _seconds(known.started_at))
        self.wake(instance)

    def _note_end(self, name: str, lasted: float) -> None:
        self._memory[name] = self._memory.get(name, Memory()).after_end(self._clock(), lasted)

    # -- whose turn it is ----------------------------------------------------------------------

    def _later(self, instance: str, seconds: float) -> None:
        at = self._clock() + seconds
        with self._turn:
            self._due[instance] = min(at, self._due.get(instance, at))
            self._turn.notify_all()

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            with self._turn:
                now = self._clock()
                free = {n: at for n, at in self._due.items() if n not in self._busy} if self._synced else {}
                for name in [name for name, at in free.items() if at <= now]:
                    del self._due[name], free[name]
                    self._busy.add(name)
                    self._workers.submit(self._work, name)
                self._turn.wait(min((at - now for at in free.values()), default=None))

    def _work(self, instance: str, *, may_wait: bool = False) -> None:
        """`may_wait`: in the pool of those that wait for containers to end."""
        pause: float | None = None
        try:
            if not may_wait and self._has_to_wait(instance):
                self._stops.submit(self._work, instance, may_wait=True)
                return
            pause = self._advance(instance)
        except Exception as error:  # the edge of the loop: one instance must not take others down
            pause = 1.0
            with self._turn:
                self._stale.add(instance)
            log.warning("%s: %s; trying again", instance, error, exc_info=not isinstance(error, ApplianceError))
        with self._turn:
            self._busy.discard(instance)
            self._turn.notify_all()
        if pause is not None:
            self._later(instance, pause)

    # -- the work on one instance ----------------------------------------------------------------------

    def _has_to_wait(self, instance: str) -> bool:
        assignment = self._book.get(instance)
        actions = self._decide(assignment).actions if assignment else ()
        return assignment is None or any(isinstance(action, Stop | Remove) for action in actions)

    def _advance(self, instance: str) -> float | None:
        """Do what there is to do now; returns the seconds after which to look again, None : when woken."""
        self._refresh(instance)
        assignment = self._book.get(instance)
        if assignment is None:
            self._clear_leftovers(instance)
            return None
        # First: a new run of a container is not judged by the probes of the one before.
        self._follow(assignment)
        decision = self._decide(assignment)
        prepared = self._preparation.prepare(assignment, decision.actions)
        if decision.actions:
            if not prepared.actions:
                self._publish(assignment, "preparing", f"bringing {', '.join(prepared.missing)}")
                return self._until(decision.wait)
            self._publish(assignment, decision.state)
            self._perform(assignment, prepared.actions)
            return 0.0
        if decision.state == "removed":
            self._provision.remove(assignment)
            self._forget_memory(assignment)
        if decision.state == "running":
            self._trouble.pop(instance, None)
        self._publish(assignment, decision.state)
        return self._until(decision.wait)

    def _until(self, moment: float | None) -> float | None:
        return None if moment is None else max(0.0, moment - self._clock())

    def _refresh(self, instance: str) -> None:
        with self._turn:
            if instance not in self._stale:
                return
            self._stale.discard(instance)
        found = self._engine.list({ROOT_LABEL: self._places.root_id, INSTANCE_LABEL: instance})
        with self._turn:
            self._seen[instance] = {container.name: container for container in found}

    def _decide(self, assignment: Assignment) -> Step:
        unwell = self._health.unwell(assignment.instance)
        with self._turn:
            seen = Seen(dict(self._seen.get(assignment.instance, {})), dict(self._memory), unwell)
        return step(assignment.desired, self._wanted(assignment), seen, self._clock())

    def _wanted(self, assignment: Assignment) -> tuple[ContainerSettings, ...]:
        """Without images, which are looked for only when a container is created."""
        made = tuple(settings_for(assignment, planned, "", self._places) for planned in assignment.containers)
        return (pause_settings(assignment, "", self._places), *made) if needs_pause(assignment) else made

    def _brought(self, instance: str, name: str, error: ApplianceError | None) -> None:
        if error is not None:
            self._failed(instance, name, error)
        self.wake(instance)

    def _perform(self, assignment: Assignment, actions: tuple[Action, ...]) -> None:
        stops = [action for action in actions if isinstance(action, Stop | Remove)]
        if len(stops) > 1:
            with ThreadPoolExecutor(len(stops), "stop") as together:
                list(together.map(lambda action: self._do(assignment, action), stops))
            return
        for action in actions:
            try:
                self._do(assignment, action)
            except ApplianceError as error:
                name = action.settings.name if isinstance(action, Create) else action.name
                self._failed(assignment.instance, name, error)
                return

    def _failed(self, instance: str, name: str, error: ApplianceError) -> None:
        """The container is tried again, later and later."""
        log.warning("%s: %s %s", name, error.what, error.why)
        with self._turn:
            self._trouble[instance] = " ".join(filter(None, (error.what, error.why)))
            self._note_end(name, 0.0)
            self._stale.add(instance)

    def _do(self, assignment: Assignment, action: Action) -> None:
        match action:
            case Create(settings):
                self._provide(assignment)
                self._engine.create(self._provision.complete(assignment, settings))
                self._engine.start(settings.name)
                self._look(assignment.instance, settings.name)
            case Start(name):
                self._provide(assignment)
                self._engine.start(name)
                self._look(assignment.instance, name)
            case Stop(name):
                self._end(assignment.instance, name, assignment.stop_grace, remove=False)
                if assignment.desired == "running":
                    with self._turn:
                        self._note_end(name, self._lasted(assignment.instance, name))
            case Remove(name):
                self._end(assignment.instance, name, assignment.stop_grace, remove=True)

    def _provide(self, assignment: Assignment) -> None:
        """What lies in memory is of an earlier run, unless a container of the instance runs still."""
        with self._turn:
            seen = self._seen.get(assignment.instance, {}).values()
            runs = any(container.state == "running" for container in seen)
        if not runs:
            self._provision.release(assignment)
        self._provision.prepare(assignment)

    def _end(self, instance: str, name: str, grace: float, *, remove: bool) -> None:
        with self._turn:
            self._ending.add(name)
        try:
            self._engine.stop(name, grace)
            if remove:
                self._engine.remove(name)
            self._look(instance, name)
        finally:
            with self._turn:
                self._ending.discard(name)

    def _look(self, instance: str, name: str) -> None:
        """Remember the container as it is now; once more if it died while we looked."""
        while True:
            with self._turn:
                deaths = self._deaths.get(name, 0)
            found = self._engine.inspect(name)
            with self._turn:
                if deaths != self._deaths.get(name, 0):
                    continue
                group = self._seen.setdefault(instance, {})
                if found is None:
                    group.pop(name, None)
                else:
                    group[name] = found
                return

    def _lasted(self, instance: str, name: str) -> float:
        known = self._seen.get(instance, {}).get(name)
        return time.time() - _seconds(known.started_at) if known is not None else 0.0

    def _clear_leftovers(self, instance: str) -> None:
        """Containers that no assignment wants; only once a manager has said what all the assignments are."""
        with self._turn:
            self._statuses.pop(instance, None)
            names = list(self._seen.get(instance, {}))
            if not names:
                self._seen.pop(instance, None)
        self._health.follow(instance, ())
        self._preparation.forget(instance)
        if instance in self._book.damaged or not self._book.confirmed:
            return
        for name in names:
            log.info("%s: removed, since nobody wants it", name)
            self._end(instance, name, LEFTOVER_GRACE, remove=True)

    def _forget_memory(self, assignment: Assignment) -> None:
        names = {planned.name for planned in assignment.containers} | {PAUSE}
        with self._turn:
            self._trouble.pop(assignment.instance, None)
            for name in names:
                full = container_name(self._places.root_id, assignment.instance, name)
                self._memory.pop(full, None)
                self._deaths.pop(full, None)

    # -- what is told ----------------------------------------------------------------------

    def _follow(self, assignment: Assignment) -> None:
        address = "127.0.0.1" if assignment.host_network else assignment.ip
        targets: list[Target] = []
        with self._turn:
            seen = dict(self._seen.get(assignment.instance, {}))
        for planned in assignment.containers if assignment.desired == "running" else ():
            name = container_name(self._places.root_id, assignment.instance, planned.name)
            container = seen.get(name)
            if container is None or container.state != "running":
                continue
            run = f"{container.id} {container.started_at}"
            health = planned.spec.health
            if health.live is not None:
                targets.append(Target(name, "live", health.live, address, run))
            if health.ready is not None:
                targets.append(Target(name, "ready", health.ready, address, run))
        self._health.follow(assignment.instance, tuple(targets))

    def _publish(self, assignment: Assignment, state: InstanceState, message: str = "") -> None:
        name = assignment.instance
        ready = self._health.ready(name)
        with self._turn:
            before = self._statuses.get(name)
            status = status_of(
                assignment,
                self._node_id,
                state,
                self._seen.get(name, {}),
                self._memory,
                ready=ready,
                trouble=self._trouble.get(name, message),
                before=before,
            )
            self._statuses[name] = status
        if status != before:
            self._reporter.changed(status)


def _seconds(time: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; 0 for none."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0
