"""Does to one instance what was decided: the only place where the supervisor changes anything in the engine."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from appliance.agent.diary import News
from appliance.agent.due_hook import after_hook, hook_news
from appliance.agent.observed import Observed
from appliance.agent.provision import Provision
from appliance.agent.record import Life, Records
from appliance.agent.step import RUNNING, Action, Create, Execute, Remove, Start, Stop, Write
from appliance.engine.container import CONTAINER_LABEL, PAUSE
from appliance.engine.engine import ContainerState, Engine
from appliance.engine.hook import HOOK_LABEL, hooks_at
from appliance.errors import ApplianceError, EngineError, NoSuchContainer
from appliance.model.instance import Assignment
from appliance.model.moment import seconds_of

log = logging.getLogger(__name__)

STABLE_AFTER = 10.0
"""Seconds, of containers that are not in the spec."""


class Work:
    """Thread-safe; an instance is never worked on by two. `note` is told what people are to hear of an instance;
    `age_of` gives the seconds since a process began, None : nobody knows."""

    def __init__(
        self,
        engine: Engine,
        provision: Provision,
        observed: Observed,
        records: Records,
        note: Callable[[str, News], None] = lambda instance, news: None,
        age_of: Callable[[int], float | None] = lambda pid: None,
    ) -> None:
        self._engine = engine
        self._age_of = age_of
        self._note = note
        self._ended_for: dict[str, str] = {}
        """Container → why it was ended to be started again."""
        self._provision = provision
        self._observed = observed
        self._records = records

    def perform(self, assignment: Assignment, actions: Sequence[Action]) -> str:
        """In their order; stops side by side. What fails ends it, and is returned as a sentence ("" : nothing)."""
        stops = [action for action in actions if isinstance(action, Stop | Remove)]
        if len(stops) > 1 and len(stops) == len(actions):
            with ThreadPoolExecutor(len(stops), "stop") as together:
                list(together.map(lambda action: self._do(assignment, action), stops))
            return ""
        for action in actions:
            try:
                self._do(assignment, action)
            except ApplianceError as error:
                return self._failed(assignment, action, error)
        return ""

    def end(self, instance: str, name: str, grace: float, *, remove: bool) -> None:
        with self._observed.ending(name):
            self._engine.stop(name, grace)
            if remove:
                self._engine.remove(name)
            self._observed.look(instance, name)

    def _do(self, assignment: Assignment, action: Action) -> None:
        match action:
            case Write(record, news):
                self._records.put(assignment.instance, record)
                if news is not None:
                    self._note(assignment.instance, news)
            case Create(settings, start, _):
                self._provide(assignment, settings.labels)
                self._engine.create(self._provision.complete(assignment, settings))
                if start:
                    self._engine.start(settings.name)
                self._observed.look(assignment.instance, settings.name)
                if HOOK_LABEL in settings.labels:
                    self._observed.forgive(settings.name)
            case Start(name):
                known = self._observed.containers(assignment.instance).get(name)
                self._provide(assignment, known.labels if known is not None else {})
                self._engine.start(name)
                self._observed.look(assignment.instance, name)
                if known is not None and is_kept_up(assignment, known.labels):
                    self._restarted(assignment.instance, known)
            case Stop(name, again):
                self._stop(assignment, name, again=again)
            case Execute(life, name):
                self._execute(assignment, life, name)
            case Remove(name, anew):
                self.end(assignment.instance, name, assignment.stop_grace, remove=True)
                if anew:
                    self._observed.forgive(name)

    def _provide(self, assignment: Assignment, labels: Mapping[str, str]) -> None:
        """Of the container with these labels. What lies in memory goes where a run of the instance begins: with its
        first step, or with the first of its containers."""
        hook = labels.get(HOOK_LABEL, "")
        seen = self._observed.containers(assignment.instance).values()
        alone = not any(container.state == "running" for container in seen)
        if alone and hook == ("pre.0" if assignment.hooks.pre else ""):
            self._provision.release(assignment)
        self._provision.prepare(assignment)

    def _stop(self, assignment: Assignment, name: str, *, again: bool) -> None:
        known = self._observed.containers(assignment.instance).get(name)
        lasted = self._ran(known) if known is not None else 0.0
        self.end(assignment.instance, name, assignment.stop_grace, remove=False)
        if known is not None and again:
            self._ended_for[name] = "its health check said no, or its network had gone"
            self._observed.ended(name, lasted, stable_after(assignment, known.labels))

    def _ran(self, container: ContainerState) -> float:
        """Seconds until now; by the wall clock only where nobody knows since when its process runs."""
        age = self._age_of(container.pid) if container.pid else None
        return time.time() - seconds_of(container.started_at) if age is None else age

    def _execute(self, assignment: Assignment, life: Life, name: str) -> None:
        """A command that the engine refuses has failed; one whose end it cannot tell is run again."""
        hook = hooks_at(assignment.hooks, life.moment)[life.done]
        try:
            code = self._engine.execute(name, hook.run, hook.timeout).exit_code
            failure = f"took longer than {hook.timeout:g} s" if code is None else f"ended with code {code}"
        except EngineError as error:
            code, failure = None, f"could not be run: {error.why}"
        news = hook_news(life, hook, failure if code != 0 else "")
        if code != 0:
            log.warning("%s: %s", assignment.instance, news.message)
        told = news.message if code != 0 else ""
        self._records.put(assignment.instance, after_hook(life, hook, told, time.time()))
        self._note(assignment.instance, news)

    def _restarted(self, instance: str, before: ContainerState) -> None:
        """Tell of a container that ran, ended and was started again."""
        why = self._ended_for.pop(before.name, "")
        label = before.labels.get(CONTAINER_LABEL, "")
        if before.started_at and label != PAUSE:
            after = f" after {lasted:.0f} s" if (lasted := _lasted(before)) is not None else ""
            ended = f"it had ended with code {before.exit_code}{after}"
            message = f"{label} was started again: {f'{why}; ' if why else ''}{ended}"
            self._note(instance, News("restart", message, bad=bool(why or before.exit_code)))

    def _failed(self, assignment: Assignment, action: Action, error: ApplianceError) -> str:
        """The container is tried again, later and later; a job's that the engine will not start has had a try."""
        name = action.settings.name if isinstance(action, Create) else getattr(action, "name", "")
        why = " ".join(filter(None, (error.what, error.why)))
        log.warning("%s: %s", name, why)
        self._observed.refused(name)
        self._observed.doubt(assignment.instance)
        refused = isinstance(error, EngineError) and not isinstance(error, NoSuchContainer)
        if assignment.job is not None and isinstance(action, Start) and refused:
            self._records.put(assignment.instance, self._records.tries(assignment.instance).refused(why))
        return why


def _lasted(container: ContainerState) -> float | None:
    """Seconds; both moments are of the same clock."""
    lasted = seconds_of(container.finished_at) - seconds_of(container.started_at)
    return lasted if container.finished_at and lasted >= 0 else None


def is_kept_up(assignment: Assignment, labels: Mapping[str, str]) -> bool:
    """Whether a container with these labels is to run on and on."""
    names = {PAUSE, *(planned.name for planned in assignment.containers)}
    ours = labels.get(CONTAINER_LABEL) in names and HOOK_LABEL not in labels
    return ours and assignment.desired == "running" and assignment.job is None


def runs_for_instance(container: ContainerState) -> bool:
    """It runs, and neither holds a network only nor runs for a hook only."""
    labels = container.labels
    return container.state in RUNNING and labels.get(CONTAINER_LABEL) != PAUSE and HOOK_LABEL not in labels


def stable_after(assignment: Assignment, labels: Mapping[str, str]) -> float:
    """Seconds after which the container with these labels counts as having stayed up."""
    name = labels.get(CONTAINER_LABEL)
    return next((each.spec.stable_after for each in assignment.containers if each.name == name), STABLE_AFTER)
