"""Binds instances that have no node yet, and gives those that have one what a new revision asks of it beside, as long
as this manager leads."""

from collections.abc import Callable, Iterator, Sequence

from appliance.loop import Loop
from appliance.model.addresses import instance_addresses
from appliance.scheduler.inventory import AddressesOf, Inventory
from appliance.scheduler.need import Need
from appliance.scheduler.renewal import renew
from appliance.scheduler.schedule import Outcome, Pending, schedule
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import Expect, Store

Term = Callable[[], Expect | None]
"""The condition under which this manager leads; None when it does not."""


class Scheduler:
    """A component. `now` gives the time as RFC 3339 in UTC."""

    name = "scheduler"

    def __init__(
        self,
        store: Store,
        state: State,
        term: Term,
        now: Callable[[], str],
        addresses_of: AddressesOf = instance_addresses,
    ) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._now = now
        self._inventory = Inventory(state, addresses_of)
        self._refused: dict[str, Need] = {}
        self._epoch = 0
        self._loop = Loop("scheduler", self.cycle)

    def start(self) -> None:
        state = self._state
        self._loop.follow(
            *(
                table.subscribe
                for table in (state.instances, state.nodes, state.node_status, state.bindings, state.instance_status)
            )
        )
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def cycle(self) -> None:
        """Bind, renew or refuse all that waits for it. Who does not lead keeps up, to begin at once when it does."""
        term = self._term()
        if term is not None:
            await_copy(self._state.copy, term.revision)
        self._inventory.refresh()
        pending, unmet, answered = self._due(), self._inventory.unmet(), self._inventory.answered()
        if term is None or not (pending or unmet or answered):
            return
        # Who is there already comes first: it cannot go anywhere else.
        renewal = renew(unmet, self._inventory.fleet)
        outcome = schedule(pending, self._inventory.fleet, self._now())
        self._inventory.believe(renewal.placed + outcome.placed)
        changes = [*self._changes(renewal), *self._changes(outcome), *self._taken_back(answered)]
        commit_as_leader(self._store, self._state.copy, term, self._in_time(changes), independent=True)
        refused = {refusal.instance for refusal in outcome.refusals}
        self._refused |= {name: need for name, need in pending if name in refused}

    def _due(self) -> list[Pending]:
        """Without those that found no place and cannot find one now."""
        epoch = self._inventory.fleet.epoch
        if epoch != self._epoch:
            self._epoch = epoch
            self._refused.clear()
        return [
            (name, need) for name, need in self._inventory.pending() if need.near or self._refused.get(name) is not need
        ]

    def _changes(self, outcome: Outcome) -> Iterator[tuple[str, Change]]:
        """Each with the name of its instance."""
        state = self._state
        for binding in (holding.binding for holding in outcome.placed):
            name = binding.instance
            forget = (state.refusals.delete(name),) if state.refusals.get(name) else ()
            # The instance must still be wanted: the orchestrator may be removing it at this moment.
            expect = (state.instances.unchanged(name), state.bindings.unchanged(name))
            yield name, Change((state.bindings.put(name, binding), *forget), expect)
        for refusal in outcome.refusals:
            name = refusal.instance
            if state.refusals.get(name) != refusal:
                yield name, Change((state.refusals.put(name, refusal),), (state.instances.unchanged(name),))

    def _taken_back(self, answered: frozenset[str]) -> Iterator[tuple[str, Change]]:
        state = self._state
        for name in sorted(answered):
            yield name, Change((state.refusals.delete(name),), (state.instances.unchanged(name),))

    def _in_time(self, changes: Sequence[tuple[str, Change]]) -> list[Change]:
        """What a change is conditional on must be what was decided from. What has changed since is looked at again."""
        late = self._inventory.changed()
        return [change for name, change in changes if name not in late]
