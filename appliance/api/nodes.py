"""Nodes: what they are and have left, what may be placed on them, and how they are emptied and forgotten."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.certificates import revocations_of
from appliance.api.complaints import complaints
from appliance.api.context import Context
from appliance.api.members import check_loss
from appliance.api.rows import Row, node_row, node_rows, revoked_nodes
from appliance.errors import NotFound, Refused, UsageError
from appliance.link.whereabouts import moving
from appliance.model.moment import text_of_seconds
from appliance.model.node import NodeSpec, Reserve
from appliance.orchestrator.moves import staying
from appliance.scheduler.inventory import Inventory
from appliance.scheduler.room import Room
from appliance.store import keys
from appliance.store.store import Delete


class Marks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels or taints; `remove` is done first."""

    set: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not given stays as it is, or with `default` becomes the usual share."""

    cpu: int | None = None
    memory: int | None = None
    default: bool = False


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another address by which the node is reached."""

    address: str


class Eviction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fenced`: a person vouches that nothing of the node runs or can come back by itself unseen."""

    fenced: bool = False


def routes(context: Context) -> list[Route]:
    def listing(_: Call) -> object:
        return node_rows(context.state, context.clocks.of)

    def show(call: Call) -> object:
        node = find(context, call.path["node"])
        overlay = [trouble.what for trouble in complaints(context, node)]
        return {**_row(context, node), "overlay": overlay, **_shares(context, node)}

    def label(call: Call) -> object:
        node = find(context, call.path["node"])
        return change_to(context, node, msgspec.structs.replace(node, labels=_marked(node.labels, call.data(Marks))))

    def taint(call: Call) -> object:
        node = find(context, call.path["node"])
        return change_to(context, node, msgspec.structs.replace(node, taints=_marked(node.taints, call.data(Marks))))

    def reserve(call: Call) -> object:
        node = find(context, call.path["node"])
        return change_to(context, node, reserving(node, call.data(Share)))

    def move(call: Call) -> object:
        node = find(context, call.path["node"])
        context.commit(*moving(context.state, node, call.data(Move).address))
        return _row(context, find(context, node.id))

    def change(call: Call) -> object:
        node = find(context, call.path["node"])
        return change_to(context, node, msgspec.structs.replace(node, **_ACTIONS[call.path["action"]]))

    def drained(call: Call) -> object:
        return drain(context, find(context, call.path["node"]))

    def evict(call: Call) -> object:
        node = find(context, call.path["node"])
        return change_to(context, node, evicting(context, node, call.data(Eviction)))

    def remove(call: Call) -> object:
        return forget(context, find(context, call.path["node"]))

    one = "/api/nodes/<node>"
    return [
        Route("GET", "/api/nodes", listing),
        Route("GET", one, show),
        Route("POST", f"{one}/labels", label),
        Route("POST", f"{one}/taints", taint),
        Route("POST", f"{one}/reserve", reserve),
        Route("POST", f"{one}/address", move, summary="Give a node another address", body=Move),
        Route("POST", f"{one}/<action:re:cordon|uncordon|drain>", change),
        Route("GET", f"{one}/drain", drained),
        Route("POST", f"{one}/evict", evict),
        Route("DELETE", one, remove),
    ]


_ACTIONS = {
    "cordon": {"cordoned": True},
    "uncordon": {"cordoned": False, "draining": False, "evicted": False},
    "drain": {"cordoned": True, "draining": True},
}


def find(context: Context, name: str) -> NodeSpec:
    """By name or id; raises NotFound."""
    for node in context.state.nodes.all().values():
        if name in (node.name, node.id):
            return node
    raise NotFound(f"There is no node called {name}.", next="see: appliance node ls")


def reserving(node: NodeSpec, share: Share) -> NodeSpec:
    """Raises UsageError for less than nothing."""
    if min(share.cpu or 0, share.memory or 0) < 0:
        raise UsageError("A node cannot keep less than nothing for itself.")
    kept = Reserve() if share.default else node.reserve
    cpu = kept.cpu if share.cpu is None else share.cpu
    memory = kept.memory if share.memory is None else share.memory
    return msgspec.structs.replace(node, reserve=Reserve(cpu=cpu, memory=memory))


def drain(context: Context, node: NodeSpec) -> Row:
    """How far a drain is: `left` are instances that are still to move, `staying` those that will not, with reasons."""
    stay = staying(context.state, node.id)
    bound = _bound(context, node)
    return {
        "node": node.name,
        "draining": node.draining,
        "left": [name for name in bound if name not in stay],
        "staying": stay,
    }


def evicting(context: Context, node: NodeSpec, eviction: Eviction) -> NodeSpec:
    """Refused while the node can be reached, and without a person's word that it is off."""
    status = context.state.node_status.get(node.id)
    if status is None or status.state != "unreachable":
        raise Refused(
            f"{node.name} is {status.state if status else 'joining'}; only an unreachable node is evicted.",
            next=f"move its instances in good order: appliance node drain {node.name}",
            page="nodes#a-node-that-is-lost",
        )
    if not eviction.fenced:
        raise Refused(
            f"{node.name} may still run its instances; started elsewhere as well, they would run twice.",
            next="switch it off or cut its network, then say so: --fenced",
            page="nodes#a-node-that-is-lost",
        )
    return msgspec.structs.replace(node, evicted=True, cordoned=True)


def forget(context: Context, node: NodeSpec) -> Row:
    """Refused for nodes that are connected, that instances are bound to, or that etcd's majority needs.

    What is left on an evicted node counts as lost with it.
    """
    status = context.state.node_status.get(node.id)
    if status is not None and status.state == "ready":
        raise Refused(f"{node.name} is connected.", next="run `appliance down` on it first")
    bound = _bound(context, node)
    if bound and not node.evicted:
        raise Refused(
            f"{len(bound)} instances live on {node.name}.",
            why="among them " + ", ".join(bound[:3]),
            next="bring it back and drain it; if it is lost for good: appliance node evict",
            page="nodes#take-a-node-out",
        )
    if "manager" in node.roles:
        check_loss(context, node)
    state = context.state
    revoked = revocations_of(state, node, text_of_seconds(context.clock(), "seconds"))
    context.commit(
        [
            state.nodes.delete(node.id),
            state.node_status.delete(node.id),
            state.diaries.delete(node.id),
            Delete(f"{keys.NUMBERS}{node.number}"),
            *revoked.values(),
            state.node_trust.delete(node.id),
            state.manager_trust.delete(node.id),
            *(state.held.delete(name) for name, _ in state.held.below(f"{node.id}/")),
        ],
        [state.nodes.still(node.id, node)],
    )
    return {"node": node.name, "removed": True}


def _bound(context: Context, node: NodeSpec) -> list[str]:
    return [name for name, binding in context.state.bindings.all().items() if binding.node == node.id]


def _marked(marks: dict[str, str], wish: Marks) -> dict[str, str]:
    if "" in wish.set:
        raise UsageError("A label or taint needs a name.")
    return {name: value for name, value in marks.items() if name not in wish.remove} | wish.set


def _shares(context: Context, node: NodeSpec) -> Row:
    inventory = Inventory(context.state)
    inventory.refresh()
    room = inventory.fleet.rooms.get(node.id)
    return {"allocated": _allocated(room), "free": _free(room)} if room else {}


def _allocated(room: Room) -> Row:
    storage = {medium: room.storage.get(medium, 0) for medium in room.all_storage if medium}
    return {"cpu": room.cpu, "memory": room.memory, "gpus": len(room.gpus), "storage": storage}


def _free(room: Room) -> Row:
    """Of what is not kept for the node itself."""
    storage = {medium: size - room.storage.get(medium, 0) for medium, size in room.all_storage.items() if medium}
    return {
        "cpu": room.all_cpu - room.cpu,
        "memory": room.all_memory - room.memory,
        "gpus": len(room.free_gpus),
        "storage": storage,
    }


def change_to(context: Context, node: NodeSpec, changed: NodeSpec) -> Row:
    """Raises Conflict where the node is not what it was any more."""
    nodes = context.state.nodes
    context.commit([nodes.put(node.id, changed)], [nodes.still(node.id, node)])
    return _row(context, changed)


def _row(context: Context, node: NodeSpec) -> Row:
    state = context.state
    revoked = node.id in revoked_nodes(state)
    return node_row(node, state.node_status.get(node.id), context.clocks.of(node.id), revoked)
