"""What etcd's members allow: a manager goes only where the others keep a majority without it."""

from appliance.api.context import Context
from appliance.errors import Refused
from appliance.model.node import NodeSpec
from appliance.orchestrator.managers import loss, owner_of


def check_loss(context: Context, node: NodeSpec) -> None:
    """Raises Refused when etcd could not go on without this manager's member."""
    seen = context.members()
    nodes = context.state.nodes.all()
    for member in seen.members:
        why = loss(seen, member) if owner_of(member, nodes) == node.id else ""
        if why:
            raise Refused(
                f"The cluster cannot do without {node.name} now.",
                why=why,
                next="add another manager, or bring back those that are away; see: appliance status",
                page="managers#how-many",
            )
