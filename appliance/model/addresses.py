"""Which addresses the instances of a node may have; both the scheduler and the network room count on the same cut.

The cluster's network is cut into /24s and node number N has the Nth: `.0` is the node's end of the vxlan, `.1` the
gateway of its bridge, `.2` to `.254` belong to instances.
"""

from ipaddress import IPv4Network

FIRST_HOST, LAST_HOST = 2, 254


def subnet_of(network: str, number: int) -> IPv4Network:
    """The /24 of node `number` (1..254) within `network`, a /16 in CIDR form."""
    base = int(IPv4Network(network).network_address)
    return IPv4Network((base + (number << 8), 24))


def vtep_of(network: str, number: int) -> str:
    return str(subnet_of(network, number)[0])


def gateway_of(network: str, number: int) -> str:
    return str(subnet_of(network, number)[1])


def instance_addresses(network: str, number: int) -> list[str]:
    """All addresses for instances of the node, lowest first."""
    subnet = subnet_of(network, number)
    return [str(subnet[host]) for host in range(FIRST_HOST, LAST_HOST + 1)]
