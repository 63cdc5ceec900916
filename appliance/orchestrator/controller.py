"""Turns what is wanted of services into instances, as long as this manager leads."""

from collections.abc import Callable

from appliance.loop import Loop
from appliance.orchestrator.services import Alter, Create, Decision, Forget, Snapshot, decide
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import MOST_OPERATIONS, Delete, Expect, Put, Store

Term = Callable[[], Expect | None]
"""The condition under which this manager leads; None when it does not."""


class Orchestrator:
    """A component."""

    name = "orchestrator"

    def __init__(self, store: Store, state: State, term: Term) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._loop = Loop("orchestrator", self.cycle)
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        state = self._state
        for table in (state.services, state.instances, state.instance_status, state.bindings):
            self._unsubscribe.append(table.subscribe(self._loop.wake))
        self._loop.start()

    def stop(self) -> None:
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def cycle(self) -> None:
        """One step of every service towards what is wanted of it; later steps follow from what the nodes report."""
        term = self._term()
        if term is None:
            return
        await_copy(self._state.copy, term.revision)
        changes = [
            change
            for service in self._state.services.all()
            if (seen := self._snapshot(service)) is not None
            for decision in decide(seen)
            for change in self._changes(service, decision)
        ]
        if changes:
            commit_as_leader(self._store, self._state.copy, term, changes)

    def _snapshot(self, service: str) -> Snapshot | None:
        state = self._state
        head = state.services.get(service)
        if head is None:
            return None
        instances = dict(state.instances.below(f"{service}/"))
        nodes = state.nodes.all()
        numbers = {head.revision, *(instance.revision for instance in instances.values())}
        revisions = [state.revision(service, number) for number in numbers]
        return Snapshot(
            head=head,
            revisions={revision.number: revision for revision in revisions if revision is not None},
            instances=instances,
            bound=frozenset(name for name, each in state.bindings.below(f"{service}/") if each.node in nodes),
            statuses=dict(state.instance_status.below(f"{service}/")),
        )

    def _changes(self, service: str, decision: Decision) -> list[Change]:
        """Each depends on the head it was decided from, so that a newer wish is never overwritten by an older one."""
        state = self._state
        head = state.services.unchanged(service)
        if isinstance(decision, Create | Alter):
            instance = decision.instance
            put = state.instances.put(instance.name, instance)
            return [Change((put,), (head, state.instances.unchanged(instance.name)))]
        if isinstance(decision, Forget):
            return [Change(self._traces(decision.instance), (head, *self._as_seen(decision.instance)))]
        return self._forget_service(service, head)

    def _traces(self, name: str) -> tuple[Put | Delete, ...]:
        state = self._state
        tables = (state.instances, state.bindings, state.instance_status, state.refusals)
        return tuple(table.delete(name) for table in tables if table.get(name) is not None)

    def _as_seen(self, name: str) -> tuple[Expect, Expect]:
        """The scheduler may be binding it at this moment."""
        return self._state.instances.unchanged(name), self._state.bindings.unchanged(name)

    def _forget_service(self, service: str, head: Expect) -> list[Change]:
        """Its revisions first and the head last, so that a break in between is found and finished."""
        state = self._state
        deletes = [state.revisions.delete(name) for name, _ in state.revisions.below(f"{service}/")]
        size = MOST_OPERATIONS // 2
        chunks = [deletes[start : start + size] for start in range(0, len(deletes), size)]
        return [
            *(Change(tuple(chunk), (head,)) for chunk in chunks),
            Change((state.services.delete(service),), (head,)),
        ]
