"""Keeps the containers of this node as its assignments want them, sidecars and users' instances alike.

Stopping the supervisor never stops a container: the next one finds them by their labels and goes on.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from appliance.agent.assignments import AssignmentBook
from appliance.agent.diary import News
from appliance.agent.engine_events import EngineEvents
from appliance.agent.gates import Gates, Lower
from appliance.agent.health import Health, Target, targets
from appliance.agent.images import ImageSource
from appliance.agent.instance_step import instance_step
from appliance.agent.observed import Observed
from appliance.agent.preparation import Preparation, Prepared
from appliance.agent.provision import Provision
from appliance.agent.record import Records
from appliance.agent.reporter import Reporter
from appliance.agent.status import View, status_of, turns_in
from appliance.agent.step import Create, Execute, Remove, Seen, Start, Step, Stop, image_of
from appliance.agent.turns import Turns
from appliance.agent.unheard import UnheardEnds
from appliance.agent.work import Work, is_kept_up, runs_for_instance, stable_after
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL, NodePlaces, container_name
from appliance.engine.engine import Engine, EngineEvent
from appliance.errors import ApplianceError
from appliance.model.instance import Assignment, InstanceStatus
from appliance.model.service import Hooks

log = logging.getLogger(__name__)

LEFTOVER_GRACE = 10.0
LOOK_AGAIN = 1.0
"""Seconds until it is looked again whether what an instance waits for has come."""


class Supervisor:
    """A component. `clock` counts seconds; only its differences matter.

    `boot` tells one run of the node from the next; `connected` says whether the link to a manager is up; `note` is told
    what happens to instances; `age_of` gives the seconds since a process began, None : nobody knows; `cgroup_of` as in
    UnheardEnds.
    """

    name = "supervisor"

    def __init__(
        self,
        engine: Engine,
        book: AssignmentBook,
        images: ImageSource,
        reporter: Reporter,
        provision: Provision,
        records: Records,
        places: NodePlaces,
        node_id: str,
        boot: str = "",
        connected: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        note: Callable[[str, News], None] = lambda instance, news: None,
        age_of: Callable[[int], float | None] = lambda pid: None,
        cgroup_of: Callable[[int], str] = lambda pid: "",
    ) -> None:
        self._book = book
        self._preparation = Preparation(images, self._brought)
        self._reporter = reporter
        self._provision = provision
        self._records = records
        self._places = places
        self._node_id = node_id
        self._clock = clock
        self._age_of = age_of
        self._observed = Observed(engine, places.root_id, clock)
        self._work = Work(engine, provision, self._observed, records, note, age_of)
        self._health = Health(engine, self.wake, clock)
        self._turns = Turns(self._advance, self._waits, self._observed.doubt, clock)
        self._events = EngineEvents(engine, {ROOT_LABEL: places.root_id}, self._look_at_everything, self._happened)
        self._unheard = UnheardEnds(engine, self._observed, cgroup_of)
        self._lock = threading.Lock()
        self._trouble: dict[str, str] = {}
        self._remarks: dict[str, str] = {}
        self._leaving: dict[str, float] = {}
        """Instance → when the news that it is going to be stopped has got around."""
        self._statuses: dict[str, InstanceStatus] = {}
        self._failing: dict[str, float] = {}
        """Instance → since when."""
        self._boot = boot
        self._connected = connected
        self._gates = Gates(begun=clock(), linked=clock())
        self._cold = frozenset(book.all())
        """Instances of which nothing ran when the agent started, and that were not started since."""
        self._synced = False
        book.subscribe(self._ordered)

    # -- the component, from any thread ----------------------------------------------------------------------------

    def start(self) -> None:
        for part in (self._health, self._events, self._turns, self._unheard):
            part.start()

    def stop(self) -> None:
        """What is being done to an instance may go on in the engine; no container is stopped because of this."""
        for part in (self._unheard, self._events, self._health, self._turns):
            part.stop()

    def wake(self, instance: str) -> None:
        self._turns.later(instance, 0.0)

    def statuses(self) -> tuple[InstanceStatus, ...]:
        """The latest of every instance this node has to run."""
        with self._lock:
            return tuple(self._statuses.values())

    def remark(self, instance: str, text: str) -> None:
        """What its status is to say while nothing else is the matter with it ("" : nothing)."""
        with self._lock:
            self._remarks[instance] = text
        self.wake(instance)

    def open_gates(self, opened: Mapping[str, int]) -> None:
        """What a manager says of ranks: service → the highest that may start; others have nothing to wait for."""
        with self._lock:
            self._gates = replace(self._gates, opened=dict(opened))
            cold = self._cold
        for name in cold:
            self.wake(name)

    # -- what happens ----------------------------------------------------------------------------------------------

    def _ordered(self, instance: str) -> None:
        """Full orders name nobody: from now on, what nobody wants may go."""
        for name in [instance] if instance else self._observed.instances():
            self.wake(name)

    def _look_at_everything(self) -> None:
        found = self._observed.look_at_everything()
        with self._lock:
            if not self._synced:
                self._cold = frozenset(name for name in self._cold if not self._runs(name))
                self._synced = True
        self._turns.open()
        for name in {*found, *self._book.all()}:
            self.wake(name)

    def _runs(self, instance: str) -> bool:
        return any(runs_for_instance(each) for each in self._observed.containers(instance).values())

    def _happened(self, event: EngineEvent) -> None:
        if event.action not in ("die", "destroy"):
            return
        instance = event.labels.get(INSTANCE_LABEL, "")
        lasted = self._observed.happened(event)
        assignment = self._book.get(instance)
        if assignment is not None and assignment.job is not None:
            self._observed.doubt(instance)  # the event does not tell all of how it ended
        elif assignment is not None and lasted is not None and is_kept_up(assignment, event.labels):
            self._observed.ended(event.name, lasted, stable_after(assignment, event.labels))
        self.wake(instance)

    def _brought(self, instance: str, name: str, error: ApplianceError | None) -> None:
        if error is None:
            self._observed.forgive(image_of(name))
        else:
            self._observed.refused(image_of(name))
            self._note(instance, " ".join(filter(None, (error.what, error.why))))
            log.warning("%s: %s %s", name, error.what, error.why)
        self.wake(instance)

    # -- the turn of one instance ----------------------------------------------------------------------------------

    def _waits(self, instance: str) -> bool:
        assignment = self._book.get(instance)
        if assignment is None:
            return True
        actions = instance_step(assignment, self._places, self._seen(assignment), self._clock()).actions
        return any(isinstance(action, Stop | Remove | Execute) for action in actions)

    def _advance(self, instance: str) -> float | None:
        """Do what there is to do now; returns the seconds after which to look again, None : when woken."""
        self._observed.refresh(instance)
        assignment = self._book.get(instance)
        if assignment is None:
            self._clear_leftovers(instance)
            return None
        # First: a new run of a container is not judged by the probes of the one before.
        self._follow(assignment)
        step = instance_step(assignment, self._places, self._seen(assignment), self._clock())
        if step.actions:
            return self._act(assignment, step)
        self._preparation.forget(instance)
        self._leaving.pop(instance, None)
        if step.state == "removed":
            self._provision.remove(assignment)
            self._forget(instance)
        if step.state in ("running", "stopped") and step.wait is None:
            self._note(instance, "")
            self._observed.settle(instance)
        return self._publish(assignment, step)

    def _act(self, assignment: Assignment, step: Step) -> float | None:
        instance, of = assignment.instance, step.of or assignment
        if closed := self._why_closed(assignment):
            self._publish(assignment, replace(step, state="waiting", message=closed))
            return LOOK_AGAIN
        if _begins(step) and (lacking := self._provision.missing(of)):
            self._publish(assignment, replace(step, state="preparing", message=f"waiting for {', '.join(lacking)}"))
            return LOOK_AGAIN
        prepared = self._preparation.prepare(of, step)
        if not prepared.actions and not step.upkeep:
            return self._publish(assignment, _held(step, prepared, self._statuses.get(instance)))
        served = self._serves(instance)
        self._publish(assignment, step)
        if (rest := self._drains(assignment, step, served)) > 0:
            return rest
        failure = self._work.perform(of, prepared.actions or step.upkeep)
        if failure:
            self._note(instance, failure)
        else:
            with self._lock:
                self._cold -= {instance}
        return 0.0

    def _serves(self, instance: str) -> bool:
        status = self._statuses.get(instance)
        return status is not None and status.ready

    def _drains(self, assignment: Assignment, step: Step, served: bool) -> float:
        """Seconds until an instance that served until now may be stopped: those who send to it have to hear it first.
        What ended by itself or is unwell is not waited for."""
        instance, now = assignment.instance, self._clock()
        if step.state != "stopping":
            self._leaving.pop(instance, None)
            return 0.0
        if served:
            self._leaving[instance] = now + assignment.drain
        return self._leaving.get(instance, now) - now

    def _why_closed(self, assignment: Assignment) -> str:
        if assignment.instance not in self._cold or assignment.desired != "running":
            return ""
        now = self._clock()
        with self._lock:
            if self._connected():
                self._gates = replace(self._gates, linked=now)
            self._gates = replace(self._gates, confirmed=self._book.confirmed)
            gates, statuses, failing = self._gates, dict(self._statuses), dict(self._failing)
        others = (Lower(each, statuses.get(name), failing.get(name)) for name, each in self._book.all().items())
        return gates.why_closed(assignment, others, now)

    def _seen(self, assignment: Assignment) -> Seen:
        instance = assignment.instance
        prefix = container_name(self._places.root_id, instance, "")
        containers = self._observed.containers(instance)
        memory = {name: known for name, known in self._observed.memory().items() if name.startswith(prefix)}
        failed = any(known.failures for known in memory.values())
        timed = containers.values() if failed or assignment.job is not None or assignment.hooks != Hooks() else ()
        ages = {each.name: self._age_of(each.pid) for each in timed if each.pid}
        return Seen(
            containers,
            memory,
            self._health.unwell(instance),
            life=self._records.life(instance),
            tries=self._records.tries(instance),
            cold=instance in self._cold,
            wall=time.time(),
            boot=self._boot,
            ran={name: age for name, age in ages.items() if age is not None},
        )

    def _clear_leftovers(self, instance: str) -> None:
        """Containers that no assignment wants; only once a manager has said what all the assignments are."""
        with self._lock:
            self._statuses.pop(instance, None)
        self._health.follow(instance, ())
        self._preparation.forget(instance)
        if instance in self._book.damaged or not self._book.confirmed:
            return
        for name in self._observed.containers(instance):
            log.info("%s: removed, since nobody wants it", name)
            self._work.end(instance, name, LEFTOVER_GRACE, remove=True)
        self._forget(instance)

    def _forget(self, instance: str) -> None:
        self._note(instance, "")
        self._leaving.pop(instance, None)
        self._observed.forget(instance)
        self._records.forget(instance)

    # -- what is told ----------------------------------------------------------------------------------------------

    def _follow(self, assignment: Assignment) -> None:
        address = "127.0.0.1" if assignment.host_network else assignment.ip
        seen = self._observed.containers(assignment.instance)
        found: list[Target] = []
        for planned in assignment.containers if assignment.desired == "running" else ():
            name = container_name(self._places.root_id, assignment.instance, planned.name)
            container = seen.get(name)
            if container is not None and container.state == "running":
                found += targets(name, planned.spec, address, f"{container.id} {container.started_at}")
        self._health.follow(assignment.instance, tuple(found))

    def _note(self, instance: str, trouble: str) -> None:
        with self._lock:
            if trouble:
                self._trouble[instance] = trouble
            else:
                self._trouble.pop(instance, None)

    def _publish(self, assignment: Assignment, step: Step) -> float | None:
        """Returns the seconds after which there is to be another look."""
        instance = assignment.instance
        seen = self._seen(assignment)
        with self._lock:
            before = self._statuses.get(instance)
            trouble = self._trouble.get(instance) or self._remarks.get(instance, "")
            view = View(assignment, step, seen, self._health.ready(instance), trouble)
            status = self._statuses[instance] = status_of(view, self._node_id, before)
            if status.failures or status.state in ("backoff", "failed"):
                self._failing.setdefault(instance, self._clock())
            else:
                self._failing.pop(instance, None)
        if status != before:
            self._reporter.changed(status)
        waits = [turns_in(view), None if step.wait is None else max(0.0, step.wait - self._clock())]
        return min((wait for wait in waits if wait is not None), default=None)


def _begins(step: Step) -> bool:
    """Whether something starts that needs what the manager sends."""
    return bool(step.needs) or any(isinstance(action, Create | Start) for action in step.actions)


def _held(step: Step, prepared: Prepared, before: InstanceStatus | None) -> Step:
    """Nothing can be done before images are there; meanwhile what runs goes on running."""
    state = before.state if step.needs and before is not None and before.state == "running" else "preparing"
    return replace(step, state=state, actions=(), message=f"bringing {', '.join(prepared.missing)}")
