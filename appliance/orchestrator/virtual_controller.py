"""Gives deploys their stable addresses and takes them back, as long as this manager leads."""

import logging
from collections.abc import Callable

from appliance.loop import Loop
from appliance.model.service import ServiceHead, revision_in_effect
from appliance.orchestrator.virtual import change, deploys_with_address
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import Expect, Store

log = logging.getLogger(__name__)

REST = 3600.0
"""Seconds; a change of a service or a rollout wakes it."""


class Addresses:
    """A component."""

    name = "addresses"

    def __init__(self, store: Store, state: State, term: Callable[[], Expect | None]) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._without: tuple[str, ...] = ()
        self._loop = Loop(self.name, self.cycle, interval=REST)

    def start(self) -> None:
        tables = (self._state.services, self._state.rollouts)
        self._loop.follow(*(table.subscribe for table in tables))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def cycle(self) -> None:
        """Bring the addresses to what the services are now. Raises what `commit_as_leader` raises."""
        term, cluster = self._term(), self._state.cluster()
        if term is None or cluster is None:
            return
        await_copy(self._state.copy, term.revision)
        wanted: set[str] = set()
        kept: set[str] = set()
        for head in self._state.services.all().values():
            now, others = self._deploys(head)
            wanted |= now
            kept |= others
        found = change(wanted, kept, self._state.virtual.all(), cluster.network)
        self._complain(found.without)
        table = self._state.virtual
        puts = {f"{each.service}/{each.deploy}": each for each in found.given}
        changes = [Change((table.put(name, each),), (table.unchanged(name),)) for name, each in puts.items()]
        changes += [Change((table.delete(name),), (table.unchanged(name),)) for name in found.freed]
        if changes:
            commit_as_leader(self._store, self._state.copy, term, changes)

    def _deploys(self, head: ServiceHead) -> tuple[set[str], set[str]]:
        """Those of the revision in effect; and those of any that the service may be at or go back to."""
        rollout = self._state.rollouts.get(head.service)
        wanted = self._state.revision(head.service, head.revision)
        effective = revision_in_effect(head, rollout, wanted.spec if wanted else None)
        numbers = {head.revision, effective}
        if rollout is not None and rollout.state != "done":
            numbers.add(rollout.previous)
        known = {number: self._state.revision(head.service, number) for number in numbers}
        if any(number and revision is None for number, revision in known.items()):
            # This copy has not seen a revision yet: nothing is taken from anybody on its account.
            return set(), {name for name, _ in self._state.virtual.below(f"{head.service}/")}
        specs = {number: revision.spec for number, revision in known.items() if revision is not None}
        every = {name for spec in specs.values() for name in deploys_with_address(spec)}
        return (set() if head.deleted else deploys_with_address(specs[effective])), every

    def _complain(self, without: tuple[str, ...]) -> None:
        if without != self._without and without:
            log.warning("no stable address is left for %s; their names in DNS go on", ", ".join(without))
        self._without = without
