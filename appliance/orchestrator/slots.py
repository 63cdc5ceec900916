"""Which instances a deploy is to have: pure."""

from collections.abc import Mapping

from appliance.model.node import NodeSpec
from appliance.model.placement import carries, tolerates
from appliance.model.service import Deploy, ServiceHead


def slots(
    deploy: Deploy, head: ServiceHead, nodes: Mapping[str, NodeSpec], autoscaled: int | None = None
) -> dict[int, str]:
    """Index of each instance → id of the node it has to be on, "" : any.

    With `every_node` an instance's index is its node's number. Else the count set by hand wins over `autoscaled`, and
    that over the spec's.
    """
    if deploy.every_node:
        placement = deploy.placement
        return {
            node.number: node.id
            for node in nodes.values()
            if not node.evicted
            and placement.node in ("", node.name)
            and carries(node.labels, placement.require)
            and tolerates(placement.tolerate, node.taints)
        }
    count = deploy.replicas if autoscaled is None or deploy.autoscale is None else autoscaled
    return dict.fromkeys(range(head.scale.get(deploy.name, count)), "")
