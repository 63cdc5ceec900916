"""Single instances: restart, stop and start them where they are, and move them."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.heads import change_head, current
from appliance.api.nodes import find as find_node
from appliance.api.revisions import in_effect
from appliance.api.rows import instance_rows
from appliance.api.wanted import wanted_names
from appliance.errors import NotFound, Refused
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.node import NodeSpec
from appliance.model.service import Deploy, Move, Revision, ServiceHead


class MoveWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`to`: name or id of a node, "" : any other. `discard_data`: the instance may lose what its volumes hold."""

    to: str = ""
    discard_data: bool = False


def routes(context: Context) -> list[Route]:
    def show(call: Call) -> object:
        name = f"{call.path['service']}/{call.path['instance']}"
        rows = [row for row in instance_rows(context.state, call.path["service"]) if row["instance"] == name]
        if not rows:
            raise _unknown(name)
        return rows[0]

    def change(call: Call) -> object:
        return change_instance(context, f"{call.path['service']}/{call.path['instance']}", call.path["action"])

    def move_(call: Call) -> object:
        return move(context, f"{call.path['service']}/{call.path['instance']}", call.data(MoveWish))

    one = "/api/instances/<service>/<instance>"
    return [
        Route("GET", one, show, summary="One instance"),
        Route("POST", f"{one}/<action:re:restart|stop|start>", change, summary="Restart, stop or start an instance"),
        Route("POST", f"{one}/move", move_, summary="Move an instance to another node", body=MoveWish),
    ]


def change_instance(context: Context, name: str, action: str) -> dict[str, object]:
    """Raises NotFound for what is no instance of a deploy."""
    service = _service_of(name)

    def change(head: ServiceHead, _: Revision) -> ServiceHead:
        _deploy_of(context, head, name)
        return changed(head, name, action)

    change_head(context, service, change)
    return {"instance": name, "action": action}


def changed(head: ServiceHead, name: str, action: str) -> ServiceHead:
    """The head after `action` on the instance; what its node was not followed in is settled by it. Pure."""
    if name in head.heard:
        settled = msgspec.structs.replace(head.heard[name], why="")
        head = msgspec.structs.replace(head, heard={**head.heard, name: settled})
    others = tuple(other for other in head.stopped if other != name)
    if action == "stop":
        return msgspec.structs.replace(head, stopped=(*others, name))
    if action == "start":
        return msgspec.structs.replace(head, stopped=others)
    return msgspec.structs.replace(head, restarts={**head.restarts, name: head.restarts.get(name, 0) + 1})


def move(context: Context, name: str, wish: MoveWish) -> dict[str, object]:
    """Have the instance on another node; raises Refused where it cannot or should not go."""
    target = find_node(context, wish.to) if wish.to else None
    if target is not None:
        _refuse_unfit(context, target)

    def change(head: ServiceHead, _: Revision) -> ServiceHead:
        deploy = _deploy_of(context, head, name)
        binding = context.state.bindings.get(name)
        left = binding.node if binding else ""
        _refuse_unmovable(name, deploy, wish)
        if target is not None and target.id == left:
            raise Refused(f"{name} is on {target.name} already.", next="name another node, or none")
        return moved(head, name, target.id if target else "", left)

    change_head(context, _service_of(name), change)
    return {"instance": name, "action": "move", "to": target.name if target else ""}


def moved(head: ServiceHead, name: str, to: str, left: str) -> ServiceHead:
    """The head with one more move of the instance, between nodes by id. Pure."""
    number = head.moves[name].number + 1 if name in head.moves else 1
    return msgspec.structs.replace(head, moves={**head.moves, name: Move(number=number, to=to, away_from=left)})


def _service_of(name: str) -> str:
    service = name.partition("/")[0]
    if service == SYSTEM_SERVICE:
        raise Refused("Sidecars are the appliance's own; they are kept running by each node.")
    return service


def _deploy_of(context: Context, head: ServiceHead, name: str) -> Deploy:
    """The deploy of an instance that should be there; raises NotFound, and Refused for an instance of a job."""
    known = context.state.instances.get(name)
    if known is not None and known.run:
        raise Refused(f"{name} belongs to the job {head.service}/{known.deploy}.", next="see: appliance job --help")
    revision = in_effect(context.state, head) or current(context, head.service)[1]
    deploy = wanted_names(context.state, revision, head).get(name)
    if deploy is None:
        raise _unknown(name)
    return deploy


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no instance called {name}.", next=f"see: appliance ps {name.partition('/')[0]}")


def _refuse_unfit(context: Context, node: NodeSpec) -> None:
    """Before the instance leaves its place for one that cannot take it."""
    status = context.state.node_status.get(node.id)
    reason = "it is cordoned" if node.cordoned else "" if status and status.state == "ready" else "it is not ready"
    if reason:
        raise Refused(f"Nothing can be moved to {node.name}.", why=reason, next=f"see: appliance why {node.name}")


def _refuse_unmovable(name: str, deploy: Deploy, wish: MoveWish) -> None:
    if deploy.every_node:
        raise Refused(f"{name} belongs to its node: {deploy.name} runs once on every node.", page="services")
    if deploy.placement.node:
        raise Refused(
            f"{name} is pinned to the node {deploy.placement.node}.",
            next=f"change `placement` of {deploy.name} in its file",
            page="placement",
        )
    kept = [each for each, volume in deploy.volumes.items() if not volume.path and volume.medium != "memory"]
    if kept and not wish.discard_data:
        raise Refused(
            f"{name} has data on its node, which would not move with it.",
            why=f"volumes stay where they are: {', '.join(kept)}",
            next=f"copy the data first; then: appliance move {name} --discard-data",
            page="services",
        )
