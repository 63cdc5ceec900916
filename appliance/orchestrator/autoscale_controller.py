"""Follows what instances use and writes how many replicas are right, as long as this manager leads."""

import time
from collections.abc import Callable, Mapping

from appliance.loop import Loop
from appliance.model.moment import now_text
from appliance.model.service import Autoscaled, Deploy, ServiceHead, revision_in_effect
from appliance.model.usage import InstanceUsage
from appliance.orchestrator.autoscale import Wish, kept, settled, wish
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import Expect, Store

INTERVAL = 10.0
"""Seconds: that of the nodes' measurements."""
REST = 3600.0
"""Seconds until it looks again where no deploy is scaled by itself; a change of a service wakes it."""


class Autoscaler:
    """A component. `usages` are the newest measurements, by instance."""

    name = "autoscale"

    def __init__(
        self,
        store: Store,
        state: State,
        term: Callable[[], Expect | None],
        usages: Callable[[], Mapping[str, InstanceUsage]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._usages = usages
        self._clock = clock
        self._wishes: dict[tuple[str, str], tuple[Wish, ...]] = {}
        self._loop = Loop("autoscale", self.cycle, interval=REST)

    def start(self) -> None:
        self._loop.follow(self._state.services.subscribe)
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """Call it when this manager begins to lead."""
        self._loop.wake()

    def cycle(self) -> float:
        """Look once at every deploy that is scaled by itself; returns the seconds until the next look."""
        term = self._term()
        scaled = self._scaled()
        self._wishes = {key: wishes for key, wishes in self._wishes.items() if key in scaled}
        if term is None or not scaled:
            return REST
        await_copy(self._state.copy, term.revision)
        usages = self._usages()
        changes = [
            change
            for (service, name), (head, deploy) in scaled.items()
            if (change := self._change(head, service, name, deploy, usages)) is not None
        ]
        if changes:
            commit_as_leader(self._store, self._state.copy, term, changes)
        return INTERVAL

    def _scaled(self) -> dict[tuple[str, str], tuple[ServiceHead, Deploy]]:
        found = {}
        for service, head in self._state.services.all().items():
            wanted = self._state.revision(service, head.revision)
            spec = wanted.spec if wanted else None
            number = revision_in_effect(head, self._state.rollouts.get(service), spec)
            revision = wanted if number == head.revision else self._state.revision(service, number)
            if revision is None or head.deleted:
                continue
            for name, deploy in revision.spec.deploys.items():
                if deploy.autoscale is not None:
                    found[service, name] = (head, deploy)
        return found

    def _change(
        self, head: ServiceHead, service: str, name: str, deploy: Deploy, usages: Mapping[str, InstanceUsage]
    ) -> Change | None:
        """A count set by hand wins; nothing is learnt from the time that it holds."""
        rule, now = deploy.autoscale, self._clock()
        if rule is None or name in head.scale or head.halted or head.paused:
            self._wishes.pop((service, name), None)
            return None
        table = self._state.autoscale
        known = table.get(f"{service}/{name}")
        current = known.replicas if known else deploy.replicas
        own = [usages[each] for each in self._ready(service, name) if each in usages]
        newest = wish(deploy, current, own, now)
        wishes = (*self._wishes.get((service, name), ()), *([newest] if newest else []))
        self._wishes[service, name] = kept(wishes, rule, now)
        chosen = settled(wishes, rule, current, now)
        if chosen is None:
            return None
        self._wishes.pop((service, name), None)  # what was measured says nothing about the new count
        record = Autoscaled(service=service, deploy=name, replicas=chosen.replicas, reason=chosen.reason, at=now_text())
        put = table.put(f"{service}/{name}", record)
        conditions = (table.unchanged(f"{service}/{name}"), self._state.services.unchanged(service))
        return Change((put,), conditions)

    def _ready(self, service: str, deploy: str) -> list[str]:
        statuses = self._state.instance_status.below(f"{service}/{deploy}-")
        return [name for name, status in statuses if name.rpartition("-")[0] == f"{service}/{deploy}" and status.ready]
