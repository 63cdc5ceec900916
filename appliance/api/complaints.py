"""What nodes themselves have found wrong with the overlay, as people read it."""

import msgspec

from appliance.api.context import Context
from appliance.api.why import Explanation
from appliance.model.node import NodeSpec
from appliance.network.diagnosis import Trouble, troubles


def complaints(context: Context, node: NodeSpec) -> list[Trouble]:
    """Nothing for a node that is not connected, or that all is well for."""
    nodes = context.state.nodes.all()
    return [
        trouble
        for measured in context.ways.bad(node.id)
        if measured.node in nodes
        for trouble in troubles(measured, node.name, nodes[measured.node].name)
    ]


def with_complaints(context: Context, explained: Explanation) -> Explanation:
    """The explanation of a node also says what it complains of; any other stays as it is."""
    nodes, name = context.state.nodes.all().values(), explained.thing
    node = next((node for node in nodes if name in (node.name, node.id)), None)
    if node is None or context.state.services.get(name) is not None:
        return explained
    said = tuple(f"{trouble.what} To do: {trouble.next}." for trouble in complaints(context, node))
    return msgspec.structs.replace(explained, reasons=(*explained.reasons, *said))
