"""Binds instances that have no node yet, as long as this manager leads."""

from collections.abc import Callable, Mapping

from appliance.loop import Loop
from appliance.model.addresses import instance_addresses
from appliance.model.cluster import Image
from appliance.model.instance import Instance
from appliance.model.node import NodeSpec
from appliance.model.service import Deploy
from appliance.scheduler.filters import Need, Room
from appliance.scheduler.schedule import Outcome, schedule
from appliance.store.state import Change, State, await_copy, commit_as_leader
from appliance.store.store import Expect, Store

Term = Callable[[], Expect | None]
"""The condition under which this manager leads; None when it does not."""

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Images name architectures as Go does, nodes as the kernel does."""


class Scheduler:
    """A component. `now` gives the time as RFC 3339 in UTC."""

    name = "scheduler"

    def __init__(self, store: Store, state: State, term: Term, now: Callable[[], str]) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._now = now
        self._loop = Loop("scheduler", self.cycle)
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        state = self._state
        for table in (state.instances, state.nodes, state.node_status, state.bindings):
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
        """Bind or refuse everything that is pending now."""
        term = self._term()
        if term is None:
            return
        await_copy(self._state.copy, term.revision)
        instances, bindings = self._state.instances.all(), self._state.bindings.all()
        pending = [one for name, one in instances.items() if name not in bindings and one.desired != "removed"]
        if not pending:
            return
        outcome = schedule(self._needs(pending), self._rooms(instances), self._now())
        commit_as_leader(self._store, self._state.copy, term, self._changes(outcome))

    def _needs(self, instances: list[Instance]) -> list[Need]:
        """Instances whose revision this manager does not know (any more) are left for later."""
        return [need for instance in instances if (need := self._need(instance)) is not None]

    def _need(self, instance: Instance) -> Need | None:
        revision = self._state.revision(instance.service, instance.revision)
        deploy = revision.spec.deploys.get(instance.deploy) if revision else None
        return need_of(instance, deploy, _architectures(deploy, revision.images)) if revision and deploy else None

    def _rooms(self, instances: dict[str, Instance]) -> list[Room]:
        cluster = self._state.cluster()
        if cluster is None:
            return []
        rooms = {node.id: self._room(node, cluster.network) for node in self._state.nodes.all().values()}
        taken: dict[str, set[str]] = {}
        for name, binding in self._state.bindings.all().items():
            room = rooms.get(binding.node)
            if room is None:
                continue
            taken.setdefault(binding.node, set()).add(binding.ip)
            instance = instances.get(name)
            if instance is not None and (need := self._need(instance)) is not None:
                room.take(need)
        for node, used in taken.items():
            rooms[node].addresses = [address for address in rooms[node].addresses if address not in used]
        return list(rooms.values())

    def _room(self, node: NodeSpec, network: str) -> Room:
        status = self._state.node_status.get(node.id)
        facts = status.facts if status else None
        return Room(
            node=node,
            ready=status is not None and status.state == "ready" and facts is not None,
            architecture=facts.architecture if facts else "",
            cpu=facts.cpu if facts else 0,
            memory=facts.memory if facts else 0,
            addresses=instance_addresses(network, node.number)[::-1],
        )

    def _changes(self, outcome: Outcome) -> list[Change]:
        state = self._state
        changes = []
        for binding in outcome.bindings:
            name = binding.instance
            forget = (state.refusals.delete(name),) if state.refusals.get(name) else ()
            # The instance must still be wanted: the orchestrator may be removing it at this moment.
            expect = (state.instances.unchanged(name), state.bindings.unchanged(name))
            changes.append(Change((state.bindings.put(name, binding), *forget), expect))
        for refusal in outcome.refusals:
            name = refusal.instance
            if state.refusals.get(name) != refusal:
                put = state.refusals.put(name, refusal)
                changes.append(Change((put,), (state.instances.unchanged(name),)))
        return changes


def need_of(instance: Instance, deploy: Deploy, architectures: frozenset[str]) -> Need:
    containers = deploy.containers.values()
    return Need(
        instance=instance.name,
        deploy=f"{instance.service}/{instance.deploy}",
        require=tuple(sorted(deploy.placement.require.items())),
        spread=deploy.placement.spread,
        cpu=sum(container.resources.cpu for container in containers),
        memory=sum(container.resources.memory for container in containers),
        ports=frozenset(
            (port.protocol, port.publish)
            for container in containers
            for port in container.ports.values()
            if port.publish is not None
        ),
        architectures=architectures,
    )


def _architectures(deploy: Deploy, images: Mapping[str, Image]) -> frozenset[str]:
    """Of the images that were loaded; those of the bundle run on every node of the cluster."""
    loaded = (images.get(container.image) for container in deploy.containers.values())
    return frozenset(_MACHINES.get(image.architecture, image.architecture) for image in loaded if image)
