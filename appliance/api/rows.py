"""The shapes that scripts and pages rely on (DESIGN §6), built from the copy of the store. Reads only."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from appliance.errors import ApplianceError
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.instance import Binding, Instance, InstanceStatus, Refusal
from appliance.model.node import NodeSpec, NodeStatus
from appliance.model.service import Rollout, ServiceHead
from appliance.model.skew import Skew, complaint
from appliance.store import keys
from appliance.store.state import State
from appliance.store.store import Store

Row = dict[str, Any]
SkewOf = Callable[[str], Skew | None]
"""Node id → how far its clock is off this manager's; None where nobody knows."""


def unmeasured(_: str) -> None:
    """For those who do not show clocks."""


def node_rows(state: State, skew_of: SkewOf = unmeasured) -> list[Row]:
    """One row per node, by name."""
    statuses, revoked = state.node_status.all(), revoked_nodes(state)
    rows = [
        node_row(node, statuses.get(node.id), skew_of(node.id), node.id in revoked)
        for node in state.nodes.all().values()
    ]
    return sorted(rows, key=lambda row: str(row["name"]))


def revoked_nodes(state: State) -> set[str]:
    return {key.node for key in state.revoked.all().values()}


def node_row(node: NodeSpec, status: NodeStatus | None, skew: Skew | None = None, revoked: bool = False) -> Row:
    facts = status.facts if status else None
    messages = [status.message if status else "", complaint(skew), "its key is revoked" if revoked else ""]
    return {
        "id": node.id,
        "name": node.name,
        "address": node.address,
        "roles": list(node.roles),
        "state": status.state if status else "joining",
        "since": status.since if status else node.joined_at,
        "version": facts.version if facts else "",
        "dial": node.dial,
        "labels": node.labels,
        "taints": node.taints,
        "cordoned": node.cordoned,
        "draining": node.draining,
        "evicted": node.evicted,
        "reserve": {"cpu": node.reserve.cpu, "memory": node.reserve.memory},
        "cpu": facts.cpu if facts else 0,
        "memory": facts.memory if facts else 0,
        "architecture": facts.architecture if facts else "",
        "engine": facts.engine if facts else "",
        "os": facts.os if facts else "",
        "kernel": facts.kernel if facts else "",
        "gpus": [{"id": gpu.id, "model": gpu.model} for gpu in facts.gpus] if facts else [],
        "disks": [msgspec.to_builtins(disk) for disk in facts.disks] if facts else [],
        "storage": facts.storage if facts else {},
        "skew": {"offset": round(skew.offset, 6), "error": round(skew.error, 6)} if skew else None,
        "message": "; ".join(message for message in messages if message),
    }


def instance_rows(state: State, service: str = "") -> list[Row]:
    """One row per instance of one service, or of all services but the system's own."""
    prefix = f"{service}/" if service else ""
    nodes, reached = state.nodes.all(), state.node_status.all()
    bindings, refusals = dict(state.bindings.below(prefix)), dict(state.refusals.below(prefix))
    statuses = dict(state.instance_status.below(prefix))
    rows = []
    for name, instance in state.instances.below(prefix):
        binding = bindings.get(name)
        node_status = reached.get(binding.node) if binding else None
        node = nodes.get(binding.node) if binding else None
        row = _row(instance, binding, statuses.get(name), refusals.get(name), node, node_status)
        virtual = state.virtual.get(f"{instance.service}/{instance.deploy}")
        rows.append(row | {"rank": _rank(state, instance), "virtual": virtual.ip if virtual else ""})
    if service == SYSTEM_SERVICE:
        names = {node.id: node.name for node in nodes.values()}
        rows = [status_row(status, names.get(status.node, status.node)) for status in statuses.values()]
    return sorted(rows, key=lambda row: (row["service"], row["deploy"], row["index"]))


def _row(
    instance: Instance,
    binding: Binding | None,
    status: InstanceStatus | None,
    refusal: Refusal | None,
    node: NodeSpec | None,
    node_status: NodeStatus | None,
) -> Row:
    state = state_of(binding, status, node_status)
    row: Row = {
        "instance": instance.name,
        "service": instance.service,
        "deploy": instance.deploy,
        "index": instance.index,
        "node": node.name if node else (binding.node if binding else ""),
        "state": state,
        # Of a node that cannot be reached nobody knows whether it serves.
        "ready": status.ready if status and state == "running" else False,
        "ip": binding.ip if binding else "",
        "desired": instance.desired,
        "revision": status.revision if status else instance.revision,
        "kind": "job" if instance.run else "deploy",
        "generation": instance.generation,
    }
    row |= _observed(status)
    if state == "unreachable" and node_status is not None:
        row["message"] = _last_known(status, node_status)
    if refusal:
        row["message"] = f"it cannot be updated: {refusal.reason}" if binding else refusal.reason
    return row


def _last_known(status: InstanceStatus | None, node: NodeStatus) -> str:
    """`since` is when a manager last heard of the node, by that manager's clock."""
    known = f"{status.state}, {'ready' if status.ready else 'not ready'}" if status else "nothing"
    return f"last known: {known}; nothing was heard of it since {node.since}"


def status_row(status: InstanceStatus, node: str) -> Row:
    """An instance that is known by its node's report alone. `node` is the node's name."""
    service, _, rest = status.instance.partition("/")
    deploy, _, index = rest.rpartition("-")
    row: Row = {
        "instance": status.instance,
        "service": service,
        "deploy": deploy,
        "index": int(index) if index.isdigit() else 0,
        "node": node,
        "state": status.state,
        "ready": status.ready,
        "ip": status.ip,
        "desired": "running",
        "revision": status.revision,
        "kind": "deploy",
        "generation": status.generation,
        "rank": 0,
        "virtual": "",
    }
    return row | _observed(status)


def _rank(state: State, instance: Instance) -> int:
    revision = state.revision(instance.service, instance.revision)
    if revision is None:
        return 0
    part = revision.spec.deploys.get(instance.deploy) or revision.spec.jobs.get(instance.deploy)
    return part.rank if part else 0


def _observed(status: InstanceStatus | None) -> Row:
    return {
        "restarts": status.restarts if status else 0,
        "restart": status.restart if status else 0,
        "since": status.since if status else "",
        "message": status.message if status else "",
        "containers": [
            {
                "name": container.name,
                "id": container.id,
                "image": container.image,
                "state": container.state,
                "started_at": container.started_at,
                "exit_code": container.exit_code,
                "restarts": container.restarts,
            }
            for container in (status.containers if status else ())
        ],
    }


def state_of(binding: Binding | None, status: InstanceStatus | None, node: NodeStatus | None) -> str:
    """The state to show: a node that cannot be reached hides what its instances do now."""
    if binding is None:
        return "pending"
    if node is not None and node.state == "unreachable":
        return "unreachable"
    if status is None or status.node != binding.node:
        return "assigned"
    return status.state


def service_rows(state: State) -> list[Row]:
    """`state` is one word or two; `reason` says why a rollout failed. Instances of jobs do not count."""
    counts: dict[str, list[bool]] = {}
    for row in instance_rows(state):
        if row["kind"] == "deploy":
            counts.setdefault(row["service"], []).append(bool(row["ready"]) and row["state"] == "running")
    rows = []
    for name, head in state.services.all().items():
        ready, rollout = counts.get(name, []), state.rollouts.get(name)
        own = rollout if rollout and rollout.revision == head.revision else None
        rows.append(
            {
                "service": name,
                "revision": head.revision,
                "instances": len(ready),
                "ready": sum(ready),
                "state": _service_state(head, own, all(ready)),
                "reason": own.reason if own and own.state == "failed" else "",
                "deleted": head.deleted,
            }
        )
    return rows


def _service_state(head: ServiceHead, rollout: Rollout | None, ready: bool) -> str:
    if head.deleted:
        return "deleting"
    if head.halted:
        return "stopped"
    if head.paused:
        return "paused"
    if rollout is not None and rollout.state == "failed":
        return "failed"
    if rollout is not None and rollout.state == "running":
        return "rolling out"
    return "ready" if ready else "not ready"


def cluster_status(
    state: State, version: str, leader: str, etcd: Mapping[str, str], skew_of: SkewOf = unmeasured
) -> Row:
    """`etcd`: manager's node id → ``healthy``, or what its member is instead."""
    cluster, nodes = state.cluster(), node_rows(state, skew_of)
    alive = state.alive.all()
    managers = [
        {
            "node": node["name"],
            "leader": node["id"] == leader,
            "alive": node["id"] in alive,
            "etcd": etcd.get(node["id"], "joining"),
        }
        for node in nodes
        if "manager" in node["roles"]
    ]
    all_serve = all(manager["alive"] and manager["etcd"] == "healthy" for manager in managers)
    held = cluster is not None and cluster.held
    well = bool(leader) and all_serve and all(node["state"] == "ready" for node in nodes) and not held
    return {
        "cluster": {
            "id": cluster.id if cluster else "",
            "name": cluster.name if cluster else "",
            "version": version,
            "url": cluster.url if cluster else "",
            "vip": cluster.vip if cluster else "",
            "state": "healthy" if well else "degraded",
            "advice": _advice(len(managers)),
            "held": held,
        },
        "managers": managers,
        "nodes": nodes,
        "backups": backup_rows(state),
    }


def backup_rows(state: State) -> list[Row]:
    """How backups fare on each manager, by its name."""
    names = {node.id: node.name for node in state.nodes.all().values()}
    rows = (msgspec.to_builtins(status) for status in state.backup_status.all().values())
    return [row | {"node": names.get(row["node"], row["node"])} for row in rows]


def _advice(managers: int) -> str:
    """What an even number of managers means; "" for an odd one."""
    if managers % 2:
        return ""
    borne = managers // 2 - 1
    bear = f"only {borne} of which may fail" if borne else "neither of which may fail"
    return f"{managers} managers, {bear}, as with {managers - 1}: add one more, or demote one"


def store_trouble(store: Store) -> str:
    """Asks etcd itself, so that a dead one shows; "" when it answers."""
    try:
        store.get(keys.CLUSTER)
    except ApplianceError as error:
        return error.why or error.what
    return ""
