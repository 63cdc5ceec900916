"""Which instances leave their nodes: moved by a person, drained, evicted, or lost for longer than they bear. Pure.

Nothing else ever takes an instance from its node: what cannot be reached keeps running where it is.
"""

from collections.abc import Iterator

import msgspec

from appliance.model.definition import part
from appliance.model.instance import Instance
from appliance.model.service import Deploy, Move
from appliance.orchestrator.ranks import held_back, room
from appliance.orchestrator.reading import read
from appliance.orchestrator.snapshot import Snapshot
from appliance.store.state import State


def leaving(seen: Snapshot) -> frozenset[str]:
    """Instances that are to be removed from their nodes now and will live elsewhere: those that people moved at once,
    those of nodes that are drained a few at a time."""
    asked = frozenset(name for name in seen.slots if _is_asked_to_move(seen, name))
    deploys = {slot.deploy.name: slot.deploy for slot in seen.slots.values()}
    drained = (_drained(seen, deploy, asked) for deploy in deploys.values())
    return asked.union(*drained)


def lost(seen: Snapshot) -> Iterator[Instance]:
    """Instances to be made anew elsewhere although nothing is known of where they are; not those that are too much."""
    wanted = seen.slots.keys() | held_back(seen)
    for name, instance in seen.instances.items():
        node = seen.nodes.get(seen.bindings.get(name, ""))
        if node is None or instance.desired == "removed" or not (instance.run or name in wanted):
            continue
        if (node.evicted and _bears_eviction(seen, instance)) or _is_given_up(seen, instance):
            yield instance


def renewed(seen: Snapshot, instance: Instance) -> Instance:
    """The instance as it is to live on another node. It starts at once unless its service is being stopped."""
    name, head = instance.name, seen.head
    slot, move = seen.slots.get(name), head.moves.get(name, Move(number=0))
    asked = move.number > instance.move and not (slot and slot.node)
    asleep = name in head.stopped or head.halted or instance.generation < head.generation
    return msgspec.structs.replace(
        instance,
        desired="stopped" if asleep and not instance.run else "running",
        move=max(instance.move, move.number),
        node=slot.node if slot and slot.node else move.to if asked else "",
        avoid=move.away_from if asked else "",
    )


def staying(state: State, node: str) -> dict[str, str]:
    """Instances bound to the node that a drain leaves there, each with the reason: a sentence for people."""
    names = [name for name, binding in state.bindings.all().items() if binding.node == node]
    services = {name.split("/")[0] for name in names}
    found: dict[str, str] = {}
    for service in sorted(services):
        seen = read(state, service)
        here = [name for name in names if seen and name in seen.instances and name.startswith(f"{service}/")]
        found |= {name: why for name in here if seen and (why := why_it_stays(seen, seen.instances[name]))}
    return found


def why_it_stays(seen: Snapshot, instance: Instance) -> str:
    """Empty when a drain moves the instance."""
    if instance.run:
        return "It is a run of a job, which is left to end."
    deploy = _deploy_of(seen, instance)
    if deploy is None:
        return ""
    if deploy.every_node:
        return "Its deploy runs on every node."
    if deploy.placement.node:
        return f"Its deploy is pinned to the node {deploy.placement.node}."
    kept = [name for name, volume in deploy.volumes.items() if not volume.path and volume.medium != "memory"]
    if kept:
        return f"Its data is on this node, in the volume {kept[0]}; `appliance move` leaves the data behind."
    return ""


def _drained(seen: Snapshot, deploy: Deploy, asked: frozenset[str]) -> frozenset[str]:
    names = [slot.name for slot in seen.slots.values() if slot.deploy.name == deploy.name and slot.name not in asked]
    here = [each for name in names if (each := seen.instances.get(name)) and _is_drained(seen, each)]
    if not here:
        return frozenset()
    serving = [each for each in here if seen.is_ready(each)]
    idle = [each for each in here if not seen.is_ready(each)]
    return frozenset(each.name for each in (*idle, *serving[: room(seen, deploy, asked)]))


def _is_drained(seen: Snapshot, instance: Instance) -> bool:
    node = seen.nodes.get(seen.bindings.get(instance.name, ""))
    if node is None or instance.desired == "removed" or not seen.is_reachable(instance):
        return False
    if seen.is_misplaced(instance) and seen.is_current(instance):
        return True
    return node.draining and not why_it_stays(seen, instance)


def _is_asked_to_move(seen: Snapshot, name: str) -> bool:
    """What belongs to one node never moves, whatever was asked."""
    instance, move, slot = seen.instances.get(name), seen.head.moves.get(name), seen.slots[name]
    if instance is None or move is None or slot.node or slot.deploy.placement.node:
        return False
    return move.number > instance.move and instance.desired != "removed"


def _bears_eviction(seen: Snapshot, instance: Instance) -> bool:
    """A run of a `once` job never happens twice; one that has ended or is being ended is not repeated; daemons end with
    their node."""
    if not instance.run:
        deploy = _deploy_of(seen, instance)
        return deploy is None or not deploy.every_node
    revision, status = seen.revisions.get(instance.revision), seen.statuses.get(instance.name)
    job = revision.spec.jobs.get(instance.deploy) if revision else None
    ended = instance.desired != "running" or (status is not None and status.state in ("succeeded", "failed"))
    return job is not None and job.type == "normal" and not ended


def _is_given_up(seen: Snapshot, instance: Instance) -> bool:
    deploy = _deploy_of(seen, instance)
    if instance.run or deploy is None or deploy.move_after is None or deploy.every_node or deploy.placement.node:
        return False
    away = seen.unreachable.get(seen.bindings[instance.name])
    return away is not None and away >= deploy.move_after


def _deploy_of(seen: Snapshot, instance: Instance) -> Deploy | None:
    revision = seen.revisions.get(instance.revision)
    return part(revision.spec, instance.deploy) if revision else None
