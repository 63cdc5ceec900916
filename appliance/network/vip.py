"""Which node should hold which virtual address: pure, from the copy of the store.

Every address has an order of nodes of its own (rendezvous hashing), so that few addresses move when a node comes or
goes; none is the first choice of more addresses than its share, so that they spread evenly.
"""

import hashlib
from collections.abc import Sequence

from appliance.model.node import NodeSpec
from appliance.model.vip import CONTROL_PLANE_ROUTER, Candidate, Front, Vip, VipPlan, parse_vip
from appliance.network.entry import entry_nodes
from appliance.store.state import State

MOST_CANDIDATES = 16
"""Nodes that stand by for one address: each hears the holder ten times a second."""


def vip_plans(state: State) -> tuple[VipPlan, ...]:
    """The cluster's own address first, then those of the entry by number."""
    nodes, cluster = state.nodes.all(), state.cluster()
    serving = within_hearing([nodes[node] for node in sorted(entry_nodes(state))])
    managers = [node for node in nodes.values() if "manager" in node.roles]
    plans = []
    if cluster is not None and cluster.vip:
        address, length = parse_vip(cluster.vip)
        own = Vip(address=address, length=length, router=CONTROL_PLANE_ROUTER)
        plans.append(_plan(own, "manager", managers, order(address, [node.id for node in managers])))
    vips = sorted(state.vips.all().values(), key=lambda vip: vip.router)
    orders = orders_of([vip.address for vip in vips], [node.id for node in serving])
    plans += [_plan(vip, "entry", serving, orders[vip.address]) for vip in vips]
    return tuple(plans)


def within_hearing(nodes: Sequence[NodeSpec]) -> list[NodeSpec]:
    """The larger part of the nodes whose announcements reach each other; of two as large the managers'.

    A node that managers dial cannot send them anything: it would never be heard, and each side would take the address.
    """
    dialled = [node for node in nodes if node.dial == "manager"]
    others = [node for node in nodes if node.dial != "manager"]
    return dialled if len(dialled) > len(others) else others


def orders_of(addresses: Sequence[str], nodes: Sequence[str]) -> dict[str, list[str]]:
    """For each address the nodes, the most preferred first."""
    share = -(-len(addresses) // max(len(nodes), 1))
    held = dict.fromkeys(nodes, 0)
    orders = {}
    for address in addresses:
        wished = order(address, nodes)
        first = next((node for node in wished if held[node] < share), None)
        if first is not None:
            held[first] += 1
            wished = [first, *(node for node in wished if node != first)]
        orders[address] = wished
    return orders


def order(address: str, nodes: Sequence[str]) -> list[str]:
    """The nodes as this address alone would have them."""
    return sorted(nodes, key=lambda node: hashlib.sha256(f"{address} {node}".encode()).digest(), reverse=True)


def _plan(vip: Vip, front: Front, nodes: Sequence[NodeSpec], wished: Sequence[str]) -> VipPlan:
    addresses = {node.id: node.address for node in nodes}
    return VipPlan(
        address=vip.address,
        length=vip.length,
        router=vip.router,
        interface=vip.interface,
        front=front,
        candidates=tuple(Candidate(node=node, address=addresses[node]) for node in wished[:MOST_CANDIDATES]),
    )
