"""Turns what is wanted of services into instances, as long as this manager leads."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from appliance.errors import Conflict
from appliance.loop import Loop
from appliance.model.moment import now_text
from appliance.model.node import NodeSpec
from appliance.model.service import Revision, Rollout
from appliance.orchestrator.decisions import (
    Alter,
    Create,
    Decision,
    Forget,
    ForgetHistory,
    Record,
    Renew,
    StartRun,
)
from appliance.orchestrator.lasting import Lasting
from appliance.orchestrator.reading import Nodes, read
from appliance.orchestrator.rollout import is_timed, next_look, signs_of_progress
from appliance.orchestrator.runs import begin
from appliance.orchestrator.services import decide
from appliance.orchestrator.snapshot import Snapshot
from appliance.store import keys
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import MOST_OPERATIONS, Delete, Expect, Put, Store

Term = Callable[[], Expect | None]
"""The condition under which this manager leads; None when it does not."""

RETRY = 0.2
"""Seconds until a service is looked at again whose change met a conflict."""


class Orchestrator:
    """A component. `clock` counts seconds; `now` gives the time as RFC 3339.

    A cycle looks at the services that anything changed of, and at those whose time has come. What it has timed is
    forgotten with the leadership.
    """

    name = "orchestrator"

    def __init__(
        self,
        store: Store,
        state: State,
        term: Term,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], str] = now_text,
    ) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._clock = clock
        self._now = now
        self._loop = Loop("orchestrator", self.cycle)
        self._led: Expect | None = None
        self._seen = 0
        self._looks: dict[str, float] = {}
        self._dependent: dict[str, tuple[str, ...]] = {}
        self._specs: Mapping[str, NodeSpec] = {}
        self._unreachable: list[str] = []
        self._away: Lasting[str] = Lasting(clock)
        self._ready: Lasting[str] = Lasting(clock)
        self._signs: Lasting[str] = Lasting(clock)

    def start(self) -> None:
        followed = (*_OWN, keys.NODES, keys.NODE_STATUS)
        self._loop.follow(*(partial(self._state.copy.subscribe, prefix) for prefix in followed))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def cycle(self) -> float | None:
        """One step of every service that may have one; later steps follow from what the nodes report.

        Returns the seconds until time alone may allow another step.
        """
        term = self._term()
        if term is None:
            return None
        await_copy(self._state.copy, term.revision)
        if term != self._led:
            self._begin(term)
        reached = self._state.copy.revision
        since, self._seen = self._seen, 0  # everything is looked at again after a cycle that failed
        touched = self._state.copy.changed_since(since) if since else None
        nodes = self._nodes(touched)
        changes = {service: self._look(service, nodes, reached) for service in self._due(touched)}
        self._commit(term, {service: each for service, each in changes.items() if each})
        self._seen = reached
        return max(0.0, min(self._looks.values()) - self._clock()) if self._looks else None

    def _begin(self, term: Expect) -> None:
        self._led, self._seen = term, 0
        for each in (self._away, self._ready, self._signs):
            each.clear()

    def _due(self, touched: frozenset[str] | None) -> list[str]:
        """Services to look at now: those that changed, those whose time has come, and those that depend on either."""
        now = self._clock()
        everything = self._state.services.all()
        if touched is None or any(_is_of_a_node(key) for key in touched):
            return list(everything)
        found = {service for key in touched if (service := _service_of(key))}
        found |= {service for service, at in self._looks.items() if at <= now}
        found |= {service for service, needs in self._dependent.items() if not found.isdisjoint(needs)}
        return [service for service in everything if service in found]

    def _nodes(self, touched: frozenset[str] | None) -> Nodes:
        """Thousands of them are only read anew where something changed of one."""
        if touched is None or any(map(_is_of_a_node, touched)):
            states = {node_id: status.state for node_id, status in self._state.node_status.all().items()}
            for node_id, state in states.items():
                self._away.note(node_id, state)
            self._unreachable = [node_id for node_id, state in states.items() if state == "unreachable"]
            self._specs = self._state.nodes.all()
        return Nodes(self._specs, {node_id: self._away.note(node_id, "unreachable") for node_id in self._unreachable})

    def _look(self, service: str, nodes: Nodes, reached: int) -> list[Change]:
        """None of a service of which something has changed since `reached`, from when the `nodes` are, or changes
        meanwhile: what a change is conditional on must be what was decided from. Such a service is among those that
        changed, and looked at again at once."""
        self._looks.pop(service, None)
        self._dependent.pop(service, None)
        seen = read(self._state, service, nodes)
        if seen is None:
            return []
        if seen.target is not None and seen.target.spec.depends_on:
            self._dependent[service] = seen.target.spec.depends_on
        seen = self._timed(seen)
        wait = next_look(seen)
        if wait is not None:
            self._looks[service] = self._clock() + wait
        changes = [change for decision in decide(seen) for change in self._changes(seen, decision)]
        return [] if self._has_changed(seen, reached) else changes

    def _has_changed(self, seen: Snapshot, since: int) -> bool:
        """The service, or a node that has an instance of it."""
        if self._state.copy.revision == since:
            return False
        touched = self._state.copy.changed_since(since)
        nodes = {prefix + node_id for prefix in (keys.NODES, keys.NODE_STATUS) for node_id in seen.bindings.values()}
        return touched is None or any(key in nodes or _service_of(key) == seen.head.service for key in touched)

    def _timed(self, seen: Snapshot) -> Snapshot:
        ready_for = {
            name: self._ready.note(name, (each.revision, each.restart, each.generation, each.move, seen.is_ready(each)))
            for name, each in seen.deployed.items()
        }
        timed = is_timed(seen)
        idle = self._signs.note(seen.head.service, (timed, signs_of_progress(seen)))
        return replace(seen, ready_for=ready_for, idle=idle if timed else 0.0, now=self._now())

    def _commit(self, term: Expect, changes: dict[str, list[Change]]) -> None:
        """All at once; where that meets a conflict service by service, so that a busy one does not hold up the others.

        Raises Conflict when nothing could be written.
        """
        if not changes:
            return
        try:
            commit_as_leader(self._store, self._state.copy, term, [each for one in changes.values() for each in one])
        except Conflict:
            refused = [service for service, each in changes.items() if not self._committed(term, each)]
            self._looks |= dict.fromkeys(refused, self._clock() + RETRY)
            if len(refused) == len(changes):
                raise

    def _committed(self, term: Expect, changes: Iterable[Change]) -> bool:
        try:
            commit_as_leader(self._store, self._state.copy, term, changes)
        except Conflict:
            return False
        return True

    def _changes(self, seen: Snapshot, decision: Decision) -> Iterator[Change]:
        """Each depends on the head it was decided from, so that a newer wish is never overwritten by an older one."""
        state, service = self._state, seen.head.service
        head = state.services.unchanged(service)
        match decision:
            case Create(instance) | Alter(instance):
                put = state.instances.put(instance.name, instance)
                yield Change((put,), (head, state.instances.unchanged(instance.name)))
            case Renew(instance):
                put = state.instances.put(instance.name, instance)
                yield Change((put, *self._traces(instance.name)), (head, *self._as_seen(seen, instance.name)))
            case Forget(name):
                forget = (state.instances.delete(name), *self._traces(name))
                yield Change(forget, (head, *self._as_seen(seen, name)))
            case StartRun(job, number):
                yield from self._begun(seen, job, seen.revisions[number], head)
            case Record(rollout):
                yield Change(self._recorded(rollout), (head, state.rollouts.unchanged(service)))
            case ForgetHistory(revisions, secrets):
                numbers = [keys.revision_name(service, number) for number in revisions]
                gone = [table.delete(name) for table in (state.revisions, state.outcomes) for name in numbers]
                yield from _in_chunks([*gone, *(state.secrets.delete(name) for name in secrets)], head)
            case _:
                yield from self._forget_service(service, head)

    def _begun(self, seen: Snapshot, job: str, revision: Revision, head: Expect) -> list[Change]:
        with suppress(Conflict):
            change = begin(self._state, seen.head.service, job, revision, reason="rank", now=seen.now)
            return [Change(change.operations, (*change.expect, head))]
        return []  # it has begun meanwhile, and that is a change to look at

    def _recorded(self, rollout: Rollout) -> tuple[Put, ...]:
        """What has ended stays on record when another revision follows."""
        put = self._state.rollouts.put(rollout.service, rollout)
        if rollout.state not in ("done", "failed"):
            return (put,)
        name = keys.revision_name(rollout.service, rollout.revision)
        return put, self._state.outcomes.put(name, rollout)

    def _traces(self, name: str) -> tuple[Delete, ...]:
        """Of where an instance was."""
        state = self._state
        tables = (state.bindings, state.instance_status, state.refusals)
        return tuple(table.delete(name) for table in tables if table.get(name) is not None)

    def _as_seen(self, seen: Snapshot, name: str) -> tuple[Expect, ...]:
        """The scheduler may be binding it at this moment, and its node may come back from where nobody expected it."""
        state, node = self._state, seen.bindings.get(name)
        own = (state.instances.unchanged(name), state.bindings.unchanged(name), state.instance_status.unchanged(name))
        return own if node is None else (*own, state.nodes.unchanged(node), state.node_status.unchanged(node))

    def _forget_service(self, service: str, head: Expect) -> Iterator[Change]:
        """Its traces first and the head last, so that a break in between is found and finished."""
        state, own = self._state, f"{service}/"
        tables = (state.revisions, state.outcomes, state.secrets, state.autoscale, state.jobs, state.runs)
        deletes = [table.delete(name) for table in tables for name, _ in table.below(own)]
        if state.rollouts.get(service) is not None:
            deletes.append(state.rollouts.delete(service))
        yield from _in_chunks(deletes, head)
        yield Change((state.services.delete(service),), (head,))


_OWN = (
    keys.SERVICES,
    keys.REVISIONS,
    keys.SECRETS,
    keys.ROLLOUTS,
    keys.AUTOSCALE,
    keys.RUNS,
    keys.INSTANCES,
    keys.BINDINGS,
    keys.INSTANCE_STATUS,
)
"""Where everything that belongs to one service lies, below the service's name."""


def _service_of(key: str) -> str:
    """Empty for keys of other things."""
    return next((key[len(prefix) :].split("/")[0] for prefix in _OWN if key.startswith(prefix)), "")


def _is_of_a_node(key: str) -> bool:
    return key.startswith((keys.NODES, keys.NODE_STATUS))


def _in_chunks(deletes: list[Delete], head: Expect) -> Iterator[Change]:
    size = MOST_OPERATIONS // 2
    yield from (Change(tuple(deletes[start : start + size]), (head,)) for start in range(0, len(deletes), size))
