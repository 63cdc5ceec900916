"""The fleet as the state has it, brought up to date from what has changed and never built twice."""

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from appliance.model.addresses import instance_addresses
from appliance.model.instance import Binding, Instance, InstanceStatus
from appliance.model.node import NodeFacts, NodeSpec, NodeState
from appliance.model.service import Revision
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import Need, need_of
from appliance.scheduler.room import Addresses, Holding, Room
from appliance.scheduler.schedule import Pending
from appliance.store.state import State, Table

AddressesOf = Callable[[str, int], tuple[IPv4Address, int]]
"""The lowest address and the number of addresses for instances, by the cluster's network and a node's number."""

_Seen = tuple[NodeSpec, NodeState, NodeFacts | None]

_ENDED = ("succeeded", "failed", "stopped")


class Inventory:
    """Not thread-safe. What `believe` was told holds until the next `refresh` has looked into the state."""

    def __init__(self, state: State, addresses_of: AddressesOf = instance_addresses) -> None:
        self.fleet = Fleet()
        self._state = state
        self._addresses_of = addresses_of
        self._reached = 0
        self._nodes: dict[str, _Seen] = {}
        self._held: dict[str, Holding] = {}
        self._on_node: dict[str, set[str]] = {}
        self._pending: dict[str, Need] = {}
        self._unmet: set[str] = set()
        self._answered: set[str] = set()
        self._again: set[str] = set()
        self._needs: dict[tuple[str, int, str, str, str], tuple[Revision, Need | None]] = {}

    def refresh(self) -> None:
        """Take in everything that the copy of the store has seen since; all of it when it forgot what that was."""
        state, cluster = self._state, self._state.cluster()
        if cluster is None:
            return
        reached = state.copy.revision
        touched = state.copy.changed_since(self._reached) if self._reached else None
        nodes = _names(touched, state.nodes, state.node_status)
        names = self._again | _names(touched, state.instances, state.bindings, state.instance_status)
        self._again = set()
        if touched is None:
            nodes |= self._nodes.keys()
            names |= self._held.keys() | self._pending.keys()
        for node in nodes:
            self._see_node(node, cluster.network)
        for name in names:
            self._see(name)
        self._reached = reached

    def changed(self) -> set[str]:
        """Instances that are not what `refresh` found any more, or may not be."""
        touched = self._state.copy.changed_since(self._reached)
        known = self._held.keys() | self._pending.keys() if touched is None else set()
        return known | _names(touched, self._state.instances, self._state.bindings)

    def pending(self) -> list[Pending]:
        """Instances without a node. Those whose revision is not known (any more) are left for later."""
        return list(self._pending.items())

    def unmet(self) -> list[Holding]:
        """Of instances that are to run a revision which their bindings do not suit, on nodes that are there."""
        held = (self._held[name] for name in self._unmet)
        return [each for each in held if each.binding.node in self.fleet.rooms]

    def answered(self) -> frozenset[str]:
        """Instances that have all they need and are still said to have been refused it."""
        return frozenset(name for name in self._answered if self._state.refusals.get(name) is not None)

    def need(self, name: str) -> Need | None:
        """Of an instance without a node."""
        return self._pending.get(name)

    def believe(self, placed: tuple[Holding, ...]) -> None:
        """The fleet has taken these already."""
        for holding in placed:
            name = holding.binding.instance
            self._hold(name, holding)
            self._pending.pop(name, None)
            self._unmet.discard(name)
            self._again.add(name)

    def _see_node(self, identifier: str, network: str) -> None:
        node, status = self._state.nodes.get(identifier), self._state.node_status.get(identifier)
        seen = (node, status.state if status else "joining", status.facts if status else None) if node else None
        if seen == self._nodes.get(identifier):
            return
        here = [self._held[name] for name in sorted(self._on_node.get(identifier, ()))]
        if identifier in self.fleet.rooms:
            for holding in here:
                self.fleet.give_back(holding)
            self.fleet.remove(identifier)
            del self._nodes[identifier]
        if seen is not None:
            self._nodes[identifier] = seen
            self.fleet.put(Room(*seen, Addresses(*self._addresses_of(network, seen[0].number))))
            for holding in here:
                self.fleet.take(holding)

    def _see(self, name: str) -> None:
        instance, binding = self._state.instances.get(name), self._state.bindings.get(name)
        need = self._need(instance) if instance else None
        if instance is not None and need is None:
            self._again.add(name)
        holding = None if binding is None else self._holding(name, binding, need)
        before = self._held.get(name)
        if holding != before:
            if before is not None:
                self._let_go(name, before)
            if holding is not None:
                self._hold(name, holding)
                if holding.binding.node in self.fleet.rooms:
                    self.fleet.take(holding)
        wanted = need is not None and instance is not None and instance.desired != "removed"
        if binding is None and need is not None and wanted:
            self._pending[name] = need
        else:
            self._pending.pop(name, None)
        unmet = wanted and holding is not None and not holding.need.is_met_by(holding.binding)
        _keep(self._unmet, name, unmet)
        _keep(self._answered, name, binding is not None and not unmet and self._state.refusals.get(name) is not None)

    def _holding(self, name: str, binding: Binding, need: Need | None) -> Holding:
        instance, status = self._state.instances.get(name), self._state.instance_status.get(name)
        return Holding(binding, need or Need(), idle=need is None or _is_idle(instance, binding, status))

    def _need(self, instance: Instance) -> Need | None:
        """Equal wishes share one value, which makes them cheap to compare."""
        revision = self._state.revision(instance.service, instance.revision)
        if revision is None:
            return None
        key = instance.service, instance.revision, instance.deploy, instance.node, instance.avoid
        known = self._needs.get(key)
        if known is None or known[0] is not revision:
            if len(self._needs) > 2 * len(self._held) + 1000:
                self._needs.clear()
            known = self._needs[key] = revision, need_of(instance, revision)
        return known[1]

    def _hold(self, name: str, holding: Holding) -> None:
        self._held[name] = holding
        self._on_node.setdefault(holding.binding.node, set()).add(name)

    def _let_go(self, name: str, holding: Holding) -> None:
        del self._held[name]
        self._on_node[holding.binding.node].discard(name)
        if holding.binding.node in self.fleet.rooms:
            self.fleet.give_back(holding)


def _names(touched: frozenset[str] | None, *tables: Table[Any]) -> set[str]:
    """Of those keys that belong to the tables; of everything in them for None."""
    if touched is None:
        return {name for table in tables for name in table.all()}
    return {key[len(table.prefix) :] for table in tables for key in touched if key.startswith(table.prefix)}


def _keep(names: set[str], name: str, there: bool) -> None:
    if there:
        names.add(name)
    else:
        names.discard(name)


def _is_idle(instance: Instance | None, binding: Binding, status: InstanceStatus | None) -> bool:
    """Whether it is a job's and has ended or been stopped; a stopped instance of a deploy keeps its place."""
    if instance is None or instance.run == 0 or status is None or status.node != binding.node:
        return False
    return status.state in _ENDED
