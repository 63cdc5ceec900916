"""Turns schedules, wishes by hand and what nodes report into runs of jobs, as long as this manager leads."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.loop import Loop
from appliance.model.service import Revision, ServiceHead, revision_in_effect
from appliance.orchestrator.controller import Term
from appliance.orchestrator.jobs import Defined, Seen, decide, is_astray, wakes_at
from appliance.orchestrator.lasting import Lasting
from appliance.orchestrator.outcomes import Places
from appliance.orchestrator.runs import digest_of, recorded
from appliance.store.keys import run_name
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import Delete, Expect, Put, Store

BELIEVED_AFTER = 600.0
"""Seconds for which a moment that was dealt with has to lie far ahead until it is taken for a wrong clock's; a clock
that is put right before that repeats nothing."""


class Jobs:
    """A component. `clock` is seconds since the epoch, `steady` counts seconds."""

    name = "jobs"

    def __init__(
        self,
        store: Store,
        state: State,
        term: Term,
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._clock = clock
        self._astray = Lasting[str](steady)
        self._loop = Loop("jobs", self.cycle)
        self._digests: dict[tuple[str, int, str], tuple[Revision, str]] = {}

    def start(self) -> None:
        state = self._state
        tables = (state.services, state.rollouts, state.jobs, state.runs, state.nodes)
        reported = (state.instances, state.bindings, state.instance_status)
        self._loop.follow(*(table.subscribe for table in (*tables, *reported)))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def cycle(self) -> float | None:
        """One step of every job; returns the seconds until the next moment of a schedule."""
        term = self._term()
        if term is None:
            return None
        await_copy(self._state.copy, term.revision)
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._astray.keep(name for name, state in self._state.jobs.all().items() if is_astray(state, now))
        changes, moments = [], []
        for service, job in self._names():
            sight = self._look(service, job, now)
            wanted = decide(sight.seen)
            changes += list(self._changes(sight, wanted))
            moments.append(wakes_at(wanted))
        if changes:
            commit_as_leader(self._store, self._state.copy, term, changes)
        return min(((moment - now).total_seconds() for moment in moments if moment is not None), default=None)

    def _names(self) -> list[tuple[str, str]]:
        """(service, job) of all jobs that a service has or that something is remembered of."""
        state = self._state
        names = {(each.service, each.job) for each in state.jobs.all().values()}
        for service, head in state.services.all().items():
            for revision in (self._in_effect(head), state.revision(service, head.revision)):
                names |= {(service, job) for job in (revision.spec.jobs if revision else ())}
        return sorted(names)

    def _in_effect(self, head: ServiceHead) -> Revision | None:
        state = self._state
        newest = state.revision(head.service, head.revision)
        rollout = state.rollouts.get(head.service)
        return state.revision(head.service, revision_in_effect(head, rollout, newest.spec if newest else None))

    def _look(self, service: str, job: str, now: datetime) -> "_Sight":
        """What is written later is conditional on what is asked for before anything is read here."""
        state = self._state
        name = f"{service}/{job}"
        expect = (state.services.unchanged(service), state.jobs.unchanged(name))
        names = [found for found, each in state.instances.below(f"{name}-") if each.deploy == job and each.run]
        held = {each: (state.instances.unchanged(each), state.bindings.unchanged(each)) for each in names}
        head, known = state.services.get(service), state.jobs.get(name)
        defined = self._defined(service, job)
        seen = Seen(
            service=service,
            job=job,
            head=head,
            revision=self._in_effect(head) if head else None,
            defined=defined,
            state=known,
            runs={run.number: run for _, run in state.runs.below(f"{name}/")},
            places=self._places(names, defined),
            now=now,
            astray=is_astray(known, now) and self._astray.note(name, known and known.last_due) >= BELIEVED_AFTER,
        )
        return _Sight(seen, expect, held)

    def _defined(self, service: str, job: str) -> dict[int, Defined]:
        found = {}
        for _, revision in self._state.revisions.below(f"{service}/"):
            if job in revision.spec.jobs:
                found[revision.number] = Defined(revision.spec.jobs[job], self._digest(revision, job))
        return found

    def _digest(self, revision: Revision, job: str) -> str:
        """Worked out once for each revision: another one with its number belongs to another service of that name."""
        key = (revision.service, revision.number, job)
        known = self._digests.get(key)
        if known is None or known[0] is not revision:
            known = self._digests[key] = (revision, digest_of(revision, job))
        return known[1]

    def _places(self, names: list[str], defined: dict[int, Defined]) -> Places:
        state = self._state
        nodes = {node.id for node in state.nodes.all().values() if not node.evicted}
        placed = {name: binding.node for name in names if (binding := state.bindings.get(name))}
        instances = {name: each for name in names if (each := state.instances.get(name))}
        once = {number for number, each in defined.items() if each.job.type == "once"}
        return Places(
            instances=instances,
            statuses={name: status for name in names if (status := state.instance_status.get(name))},
            bound=frozenset(name for name, node in placed.items() if node in nodes),
            given_up=frozenset(
                name
                for name, instance in instances.items()
                if instance.revision in once and name in placed and placed[name] not in nodes
            ),
        )

    def _changes(self, sight: "_Sight", wanted: Seen) -> Iterator[Change]:
        """What is remembered of the job last, because all else depends on it as it was."""
        seen, state = sight.seen, self._state
        head, job = sight.expect
        for name, instance in seen.places.instances.items():
            if name not in wanted.places.instances:
                yield Change(self._traces(name), (head, *sight.held[name]))
            elif (altered := wanted.places.instances[name]) != instance:
                yield Change((state.instances.put(name, altered),), (head, *sight.held[name]))
        begun: list[Put | Delete] = []
        for number, run in wanted.runs.items():
            fresh = tuple(
                each
                for name, each in wanted.places.instances.items()
                if each.run == number and name not in seen.places.instances
            )
            if number not in seen.runs or fresh:
                begun += recorded(state, run, fresh)
            elif run != seen.runs[number]:
                yield Change(recorded(state, run, ()), (head, job))
        for number in seen.runs.keys() - wanted.runs.keys():
            yield Change((state.runs.delete(run_name(seen.service, seen.job, number)),), (head, job))
        if wanted.state != seen.state:
            name = f"{seen.service}/{seen.job}"
            begun.append(state.jobs.put(name, wanted.state) if wanted.state else state.jobs.delete(name))
        if begun:
            yield Change(tuple(begun), (head, job))

    def _traces(self, name: str) -> tuple[Put | Delete, ...]:
        state = self._state
        tables = (state.instances, state.bindings, state.instance_status, state.refusals)
        return tuple(table.delete(name) for table in tables if table.get(name) is not None)


@dataclass(frozen=True, slots=True)
class _Sight:
    """`expect`: of the service's head and of the job's state; `held`: of each instance and its binding."""

    seen: Seen
    expect: tuple[Expect, Expect]
    held: dict[str, tuple[Expect, Expect]]
