"""Which address belongs to whom: pure arithmetic on the cluster's network.

The network is cut into /24s. Node number N has the Nth: `.0` is the node's end of the vxlan, `.1` the gateway of its
bridge, and instances get `.2` to `.254`.
"""

import ipaddress
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network

from appliance.errors import Refused, UsageError

LARGEST_NUMBER = 254
"""Node numbers are 1..254; number 0 is never used."""
_SUBNET_PREFIX = 24


def parse_network(text: str) -> IPv4Network:
    """The cluster's network; UsageError when it is no private IPv4 /16 or has host bits."""
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise UsageError(
            f"The network {text!r} is not an IPv4 network.", why=str(error), next="write it like 10.42.0.0/16"
        ) from error
    if network.prefixlen != 16 or not network.is_private or network.is_loopback or network.is_link_local:
        raise UsageError(
            f"The network {text} cannot carry the instances.",
            why="it has to be a private /16: one /24 for each of up to 254 nodes",
            next="choose one from 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 that nothing else here uses",
        )
    return network


def subnet_of(network: str, number: int) -> IPv4Network:
    """The /24 of node `number`; UsageError for a number outside 1..254."""
    if not 1 <= number <= LARGEST_NUMBER:
        raise UsageError(f"Node number {number} does not exist.", why=f"numbers are 1 to {LARGEST_NUMBER}")
    base = int(parse_network(network).network_address)
    return IPv4Network((base + (number << (32 - _SUBNET_PREFIX)), _SUBNET_PREFIX))


def gateway_of(network: str, number: int) -> str:
    """Address of the node's bridge."""
    return str(subnet_of(network, number)[1])


def vtep_address(network: str, number: int) -> str:
    """Address of the node's vxlan device: the base of its /24, as flannel has it."""
    return str(subnet_of(network, number)[0])


def free_address(network: str, number: int, taken: Collection[str]) -> str:
    """The lowest instance address of the node that is not in `taken`; Refused when all are."""
    for address in list(subnet_of(network, number))[2:255]:
        if str(address) not in taken:
            return str(address)
    raise Refused(
        f"Node {number} has no address left for another instance.",
        where=str(subnet_of(network, number)),
        why="all 253 addresses are in use",
        next="add a node, or delete instances on this one",
    )


def overlapping(network: str, others: Iterable[str]) -> list[str]:
    """Those of `others` (CIDR) that share addresses with `network`."""
    own = parse_network(network)
    return [other for other in others if ipaddress.ip_network(other, strict=False).overlaps(own)]
