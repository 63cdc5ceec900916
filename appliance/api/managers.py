"""Which nodes are managers: promotion and demotion, and what would leave the cluster without a majority is refused."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.members import check_loss
from appliance.api.nodes import change_to, find
from appliance.errors import Refused
from appliance.model.cluster import MOST_MANAGERS
from appliance.model.node import Dial, NodeSpec
from appliance.model.release import PAGE, THIS_RELEASE, Release


class Demotion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`dial`: which side opens the node's links once it is an agent."""

    dial: Dial = "agent"


def routes(context: Context) -> list[Route]:
    def promote(call: Call) -> object:
        node = find(context, call.path["node"])
        return change_to(context, node, promoting(context, node))

    def demote(call: Call) -> object:
        node = find(context, call.path["node"])
        return change_to(context, node, demoting(context, node, call.data(Demotion)))

    one = "/api/nodes/<node>"
    return [
        Route("POST", f"{one}/promote", promote, summary="Make a node a manager"),
        Route("POST", f"{one}/demote", demote, summary="Make a manager an agent only", body=Demotion),
    ]


def promoting(context: Context, node: NodeSpec) -> NodeSpec:
    """Raises Refused for a manager, for a node that is away or of another release, and for more managers than are of
    use."""
    if "manager" in node.roles:
        raise Refused(f"{node.name} is a manager already.", next="see: appliance status", page="managers")
    status = context.state.node_status.get(node.id)
    if status is None or status.state != "ready":
        raise Refused(
            f"{node.name} is not connected.",
            why="it has to take the keys and the data of a manager now",
            next="see: appliance node ls",
            page="managers",
        )
    if status.facts is not None and status.facts.release != THIS_RELEASE.number:
        theirs = Release(number=status.facts.release, version=status.facts.version)
        raise Refused(
            f"{node.name} runs {theirs}, this manager {THIS_RELEASE}.",
            why="managers share one store",
            next="bring all of them to one release first",
            page=PAGE,
        )
    managers = sum("manager" in each.roles for each in context.state.nodes.all().values())
    if managers >= MOST_MANAGERS:
        raise Refused(
            f"The cluster has {managers} managers.",
            why="more would make writes slower and nothing safer",
            next="demote one first: appliance node demote NODE",
            page="managers#how-many",
        )
    return msgspec.structs.replace(node, roles=("manager", "agent"))


def demoting(context: Context, node: NodeSpec, wish: Demotion) -> NodeSpec:
    """Raises Refused for an agent, and where the others could not go on without it."""
    if "manager" not in node.roles:
        raise Refused(f"{node.name} is no manager.", next="see: appliance status", page="managers")
    check_loss(context, node)
    return msgspec.structs.replace(node, roles=("agent",), dial=wish.dial)
