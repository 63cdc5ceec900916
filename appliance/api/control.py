"""What a person may ask of a whole service beside its spec: counts by hand, stop, start, restart, pause, delete."""

import msgspec

from appliance.api import checks
from appliance.api.context import Context
from appliance.api.heads import change_head
from appliance.errors import NotFound, Refused, UsageError
from appliance.model.service import Revision, ServiceHead

LARGEST_SCALE = 10_000
ACTIONS = ("stop", "start", "restart")
PAUSES = ("pause", "resume")


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`replicas`: None takes back the count that was set by hand."""

    deploy: str
    replicas: int | None


def scale(context: Context, service: str, wish: Scale) -> dict[str, object]:
    """The count stays, also over applies, until it is taken back."""
    change_head(context, service, lambda head, revision: scaled(head, revision, wish))
    return {"service": service, "deploy": wish.deploy, "replicas": wish.replicas}


def control(context: Context, service: str, action: str) -> dict[str, object]:
    """`action` is one of ACTIONS or PAUSES."""
    change_head(context, service, lambda head, _: controlled(head, action))
    return {"service": service, "action": action}


def delete(context: Context, service: str) -> dict[str, object]:
    """Refused while another service waits for this one."""
    users = [name for name, needs in checks.dependencies(context.state).items() if service in needs and name != service]
    if users:
        raise Refused(
            f"{service} cannot be deleted: {', '.join(users)} depend on it."
            if len(users) > 1
            else f"{service} cannot be deleted: {users[0]} depends on it.",
            why=f"`depends_on` in {', '.join(users)} names it",
            next=f"delete these first, or apply them without it: appliance delete {users[0]}",
            page="services",
        )
    head = context.state.services.get(service)
    if head is None or not head.deleted:
        change_head(context, service, lambda head, _: msgspec.structs.replace(head, deleted=True))
    return {"service": service, "deleted": True}


def scaled(head: ServiceHead, revision: Revision, wish: Scale) -> ServiceHead:
    """The head with the count. Pure; raises NotFound, UsageError and Refused."""
    deploy = revision.spec.deploys.get(wish.deploy)
    if deploy is None:
        known = ", ".join(revision.spec.deploys)
        raise NotFound(f"{head.service} has no deploy called {wish.deploy}.", why=f"it has {known}")
    others = {name: count for name, count in head.scale.items() if name != wish.deploy}
    if wish.replicas is None:
        return msgspec.structs.replace(head, scale=others)
    if deploy.every_node:
        raise Refused(
            f"{head.service}/{wish.deploy} has no count: it runs once on every node that it may.",
            next="choose the nodes with `placement` in its file",
        )
    if not 0 <= wish.replicas <= LARGEST_SCALE:
        raise UsageError(f"{wish.replicas} is not a number of replicas from 0 to {LARGEST_SCALE}.")
    return msgspec.structs.replace(head, scale={**others, wish.deploy: wish.replicas})


def controlled(head: ServiceHead, action: str) -> ServiceHead:
    """The head after the action. Pure; Refused for the restart of a service that is stopped."""
    if action == "restart":
        if head.halted:
            raise Refused(f"{head.service} is stopped.", next=f"start it: appliance start {head.service}")
        return msgspec.structs.replace(head, generation=head.generation + 1)
    if action in PAUSES:
        return msgspec.structs.replace(head, paused=action == "pause")
    return msgspec.structs.replace(head, halted=action == "stop")
