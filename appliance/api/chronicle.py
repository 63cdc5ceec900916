"""What a change of the store means to people: from one key's value before and after to events. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from appliance.model.backup import BackupStatus
from appliance.model.cluster import Image
from appliance.model.diary import NodeDiary
from appliance.model.instance import Binding, InstanceStatus, Refusal
from appliance.model.job import JobRun
from appliance.model.node import NodeSpec, NodeStatus
from appliance.model.service import Autoscaled, Rollout, ServiceHead
from appliance.model.vip import VipStatus
from appliance.model.wish import Heard
from appliance.store import keys
from appliance.store.codec import decode
from appliance.store.mirror import Alteration


@dataclass(frozen=True)
class Draft:
    """An event without its place in the order. `node` is an id, "" where no node is concerned."""

    kind: str
    subject: str
    message: str
    level: Literal["info", "warning"] = "info"
    node: str = ""


def drafts(change: Alteration) -> list[Draft]:
    """Nothing for what people do not care about. Raises LocalStateDamaged for a value that does not parse."""
    for prefix, kind, tell in _TELLERS:
        if change.key.startswith(prefix):
            old, new = (
                None if entry is None else decode(entry.value, kind, where=change.key)
                for entry in (change.old, change.new)
            )
            return [] if old == new else list(tell(old, new))
    return []


def _service(old: ServiceHead | None, new: ServiceHead | None) -> Iterator[Draft]:
    if new is None:
        if old is not None:
            yield Draft("service", old.service, "is forgotten: nothing is left of it")
        return
    before, name = old or ServiceHead(service=new.service, revision=0), new.service
    if new.revision != before.revision:
        yield Draft("service", name, f"revision {new.revision} is wanted")
    if new.deleted and not before.deleted:
        yield Draft("service", name, "is to be deleted")
    if new.halted != before.halted:
        yield Draft("service", name, "is to be stopped" if new.halted else "is to be started")
    if new.paused != before.paused:
        yield Draft("service", name, "is paused" if new.paused else "goes on")
    if new.generation > before.generation:
        yield Draft("service", name, "is to be restarted, rank by rank")
    for deploy in sorted(new.scale.keys() | before.scale.keys()):
        if new.scale.get(deploy) != before.scale.get(deploy):
            count = new.scale.get(deploy)
            yield Draft("service", f"{name}/{deploy}", f"{count} replicas by hand" if count is not None else _UNSCALED)
    for instance in sorted(set(new.stopped) ^ set(before.stopped)):
        yield Draft("service", instance, "is to be stopped" if instance in new.stopped else "is to be started")
    for instance, count in sorted(new.restarts.items()):
        if count > before.restarts.get(instance, 0):
            yield Draft("service", instance, "is to be restarted")
    for instance, heard in sorted(new.heard.items()):
        if instance not in before.heard or heard.number > before.heard[instance].number:
            yield _taken_in(instance, heard)
    for instance, move in sorted(new.moves.items()):
        if instance not in before.moves or move.number > before.moves[instance].number:
            yield Draft("service", instance, "is to be moved")


def _taken_in(instance: str, heard: Heard) -> Draft:
    said = f"{heard.who} said {heard.action} on its node at {heard.at}, by that node's clock"
    if heard.why:
        return Draft("conflict", instance, f"{said}; not followed: {heard.why}", "warning", heard.node)
    return Draft("service", instance, f"{said}; that is wanted now", node=heard.node)


_UNSCALED = "the count set by hand is cleared"


def _rollout(old: Rollout | None, new: Rollout | None) -> Iterator[Draft]:
    if new is None or (old is not None and (old.revision, old.state) == (new.revision, new.state)):
        return
    sentence = {
        "running": f"the rollout of revision {new.revision} has begun",
        "paused": f"the rollout of revision {new.revision} is paused",
        "done": f"revision {new.revision} is complete",
        "failed": f"revision {new.revision} failed: {new.reason}",
    }[new.state]
    yield Draft("rollout", new.service, sentence, "warning" if new.state == "failed" else "info")


def _autoscaled(old: Autoscaled | None, new: Autoscaled | None) -> Iterator[Draft]:
    if new is not None and (old is None or old.replicas != new.replicas):
        yield Draft("autoscale", f"{new.service}/{new.deploy}", f"{new.replicas} replicas: {new.reason}")


def _binding(old: Binding | None, new: Binding | None) -> Iterator[Draft]:
    if new is not None and (old is None or old.node != new.node):
        yield Draft("placement", new.instance, "has its node", node=new.node)
    elif old is not None and new is None:
        yield Draft("placement", old.instance, "has no node any more", node=old.node)


def _refusal(old: Refusal | None, new: Refusal | None) -> Iterator[Draft]:
    if new is not None and (old is None or old.reason != new.reason):
        yield Draft("placement", new.instance, f"finds no room: {new.reason}", "warning")


_TROUBLES = ("backoff", "failed")


def _instance(old: InstanceStatus | None, new: InstanceStatus | None) -> Iterator[Draft]:
    if new is None:
        return
    name, before = new.instance, old or InstanceStatus(instance=new.instance, node=new.node, state="assigned")
    because = f": {new.message}" if new.message else ""
    if new.state != before.state:
        level: Literal["info", "warning"] = "warning" if new.state in _TROUBLES else "info"
        yield Draft("instance", name, f"is {new.state}{because}", level, new.node)
    if new.ready != before.ready and new.state == "running":
        ready = "is ready" if new.ready else f"is not ready any more{because}"
        yield Draft("instance", name, ready, "info" if new.ready else "warning", new.node)


def _run(old: JobRun | None, new: JobRun | None) -> Iterator[Draft]:
    if new is None:
        return
    if old is None and not new.outcome:
        yield Draft("job", new.name, {"rank": "is due", "schedule": "is due", "hand": "was asked for"}[new.reason])
    elif new.outcome and (old is None or old.outcome != new.outcome):
        code = "" if new.exit_code is None else f" with exit code {new.exit_code}"
        bad = new.outcome in ("failed", "unknown")
        message = f"{new.outcome}{code}{f': {new.message}' if new.message else ''}"
        yield Draft("job", new.name, message, "warning" if bad else "info")


def _node(old: NodeSpec | None, new: NodeSpec | None) -> Iterator[Draft]:
    if new is None or old is None:
        known = new or old
        if known is not None:
            yield Draft("node", known.name, "has joined" if new else "was removed", node=known.id)
        return
    for now, before, sentence in (
        (new.evicted, old.evicted, "was evicted: what was bound to it is placed elsewhere"),
        (new.draining, old.draining, "is being drained"),
        (new.cordoned, old.cordoned, "is cordoned"),
    ):
        if now and not before:
            yield Draft("node", new.name, sentence, node=new.id)
            break
    if old.cordoned and not new.cordoned:
        yield Draft("node", new.name, "takes instances again", node=new.id)
    if new.taints != old.taints:
        taints = ", ".join(f"{key}={value}" if value else key for key, value in sorted(new.taints.items()))
        yield Draft("node", new.name, f"has the taints {taints}" if taints else "has no taints", node=new.id)
    if new.address != old.address:
        yield Draft("node", new.name, f"has the address {new.address}", node=new.id)


def _node_status(old: NodeStatus | None, new: NodeStatus | None) -> Iterator[Draft]:
    if new is not None and (old is None or old.state != new.state):
        yield Draft("node", new.id, f"is {new.state}", "warning" if new.state == "unreachable" else "info", new.id)
    if new is not None and new.message and (old is None or old.message != new.message):
        yield Draft("node", new.id, new.message, "warning", new.id)


def _diary(old: NodeDiary | None, new: NodeDiary | None) -> Iterator[Draft]:
    if new is None:
        return
    before = old if old is not None and old.volume == new.volume else NodeDiary(node=new.node, volume="", last=0)
    if new.lost > before.lost:
        text = f"was alone for so long that {new.lost - before.lost} happenings before these are lost"
        yield Draft("node", new.node, text, "warning", new.node)
    for each in new.happenings:
        if each.number > before.last:
            when = f" (while it was alone, at {each.at} by its clock)" if each.alone else ""
            level: Literal["info", "warning"] = "warning" if each.bad else "info"
            yield Draft(each.kind, each.instance or new.node, f"{each.message}{when}", level, new.node)


def _vip(old: VipStatus | None, new: VipStatus | None) -> Iterator[Draft]:
    if new is None or (old is not None and old.owners == new.owners):
        return
    match new.owners:
        case ():
            yield Draft("vip", new.address, "is on no node that can be reached", "warning")
        case (owner,):
            yield Draft("vip", new.address, "has its node", node=owner)
        case owners:
            yield Draft("vip", new.address, f"is on {len(owners)} nodes at once", "warning", owners[0])


def _image(old: Image | None, new: Image | None) -> Iterator[Draft]:
    if new is not None:
        yield Draft("image", new.reference, "was loaded")
    elif old is not None:
        yield Draft("image", old.reference, "was removed")


def _backup(old: BackupStatus | None, new: BackupStatus | None) -> Iterator[Draft]:
    if new is None:
        return
    before = old or BackupStatus(node=new.node)
    if new.trouble and new.trouble != before.trouble:
        yield Draft("backup", new.node, f"no backup was made: {new.trouble}", "warning", new.node)
    elif new.made_at != before.made_at:
        yield Draft("backup", new.node, f"made the backup {new.name}", node=new.node)
    if new.rehearsed_at != before.rehearsed_at:
        if new.rehearsal_trouble:
            yield Draft("backup", new.node, f"a backup does not restore: {new.rehearsal_trouble}", "warning", new.node)
        else:
            yield Draft("backup", new.node, f"its newest backup is {new.rehearsed}", node=new.node)


_TELLERS: tuple[tuple[str, type[Any], Callable[[Any, Any], Iterator[Draft]]], ...] = (
    (keys.INSTANCE_STATUS, InstanceStatus, _instance),
    (keys.BINDINGS, Binding, _binding),
    (keys.REFUSALS, Refusal, _refusal),
    (keys.SERVICES, ServiceHead, _service),
    (keys.ROLLOUTS, Rollout, _rollout),
    (keys.AUTOSCALE, Autoscaled, _autoscaled),
    (keys.RUNS, JobRun, _run),
    (keys.NODE_STATUS, NodeStatus, _node_status),
    (keys.NODES, NodeSpec, _node),
    (keys.IMAGES, Image, _image),
    (keys.VIP_STATUS, VipStatus, _vip),
    (keys.BACKUP_STATUS, BackupStatus, _backup),
    (keys.DIARIES, NodeDiary, _diary),
)
