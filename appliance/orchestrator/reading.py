"""Reads one service from the state, for whoever decides or explains."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.model.node import NodeSpec
from appliance.model.service import ServiceHead
from appliance.orchestrator.ranks import is_complete
from appliance.orchestrator.snapshot import Snapshot
from appliance.store.state import State


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes, and for how many seconds those that cannot be reached have been it."""

    specs: Mapping[str, NodeSpec]
    unreachable: Mapping[str, float]


def nodes_of(state: State) -> Nodes:
    """Without a clock of one's own: nodes that cannot be reached have been it for no time."""
    away = {node_id: 0.0 for node_id, status in state.node_status.all().items() if status.state == "unreachable"}
    return Nodes(state.nodes.all(), away)


def read(state: State, service: str, nodes: Nodes | None = None) -> Snapshot | None:
    """None when there is no such service (any more)."""
    nodes = nodes or nodes_of(state)
    seen = _read(state, service, nodes)
    if seen is None or seen.target is None or not seen.target.spec.depends_on:
        return seen
    waits_for = tuple(name for name in seen.target.spec.depends_on if not _is_up(_read(state, name, nodes)))
    return _read(state, service, nodes, waits_for) if waits_for else seen


def _read(state: State, service: str, nodes: Nodes, waits_for: tuple[str, ...] = ()) -> Snapshot | None:
    head: ServiceHead | None = state.services.get(service)
    if head is None:
        return None
    own = f"{service}/"
    return Snapshot(
        head=head,
        revisions={revision.number: revision for _, revision in state.revisions.below(own)},
        instances=dict(state.instances.below(own)),
        bindings={name: each.node for name, each in state.bindings.below(own) if each.node in nodes.specs},
        statuses=dict(state.instance_status.below(own)),
        nodes=nodes.specs,
        rollout=state.rollouts.get(service),
        autoscaled={each.deploy: each.replicas for _, each in state.autoscale.below(own)},
        runs=dict(state.runs.below(own)),
        secrets=tuple(name for name, _ in state.secrets.below(own)),
        waits_for=waits_for,
        unreachable=nodes.unreachable,
    )


def _is_up(seen: Snapshot | None) -> bool:
    return seen is not None and not seen.head.deleted and not seen.head.halted and is_complete(seen)
