"""Nodes: list, label, cordon, and forget one that is gone for good."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.rows import node_row, node_rows
from appliance.errors import NotFound, Refused
from appliance.model.node import NodeSpec
from appliance.store import keys
from appliance.store.store import Delete


class Labels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`remove` is done first."""

    set: dict[str, str] = {}
    remove: tuple[str, ...] = ()


def routes(context: Context) -> list[Route]:
    def listing(_: Call) -> object:
        return node_rows(context.state)

    def show(call: Call) -> object:
        return _row(context, find(context, call.path["node"]))

    def label(call: Call) -> object:
        node, wish = find(context, call.path["node"]), call.data(Labels)
        kept = {name: value for name, value in node.labels.items() if name not in wish.remove}
        return _write(context, msgspec.structs.replace(node, labels={**kept, **wish.set}))

    def cordon(call: Call) -> object:
        node = find(context, call.path["node"])
        return _write(context, msgspec.structs.replace(node, cordoned=call.path["action"] == "cordon"))

    def remove(call: Call) -> object:
        return forget(context, find(context, call.path["node"]))

    one = "/api/nodes/<node>"
    return [
        Route("GET", "/api/nodes", listing),
        Route("GET", one, show),
        Route("POST", f"{one}/labels", label),
        Route("POST", f"{one}/<action:re:cordon|uncordon>", cordon),
        Route("DELETE", one, remove),
    ]


def find(context: Context, name: str) -> NodeSpec:
    """By name or id; raises NotFound."""
    for node in context.state.nodes.all().values():
        if name in (node.name, node.id):
            return node
    raise NotFound(f"There is no node called {name}.", next="see: appliance node ls")


def forget(context: Context, node: NodeSpec) -> dict[str, object]:
    """Refused for managers, for nodes that are connected, and for nodes that instances are bound to."""
    if "manager" in node.roles:
        raise Refused(f"{node.name} is a manager; a manager cannot be removed.")
    status = context.state.node_status.get(node.id)
    if status is not None and status.state == "ready":
        raise Refused(f"{node.name} is connected.", next="run `appliance down` on it first")
    bound = [name for name, binding in context.state.bindings.all().items() if binding.node == node.id]
    if bound:
        raise Refused(
            f"{len(bound)} instances live on {node.name}.",
            why="among them " + ", ".join(bound[:3]),
            next="scale their deploys down or delete their services first",
        )
    state = context.state
    context.commit(
        [state.nodes.delete(node.id), state.node_status.delete(node.id), Delete(f"{keys.NUMBERS}{node.number}")],
        [state.nodes.unchanged(node.id)],
    )
    return {"node": node.name, "removed": True}


def _write(context: Context, node: NodeSpec) -> object:
    nodes = context.state.nodes
    context.commit([nodes.put(node.id, node)], [nodes.unchanged(node.id)])
    return _row(context, node)


def _row(context: Context, node: NodeSpec) -> object:
    return node_row(node, context.state.node_status.get(node.id))
