"""Which address belongs to whom: pure arithmetic on the cluster's network.

The network, a /16, is cut into /24s and node number N has the Nth: `.0` is the node's end of the vxlan, as flannel has
it, `.1` the gateway of its bridge, and `.2` to `.254` belong to instances. The first and the last /24, which no node
has, hold the stable addresses of deploys, `.1` to `.254` of each.
"""

from ipaddress import IPv4Address, IPv4Network

from appliance.errors import UsageError

LARGEST_NUMBER = 254
"""Node numbers are 1..254; number 0 is never used."""
_HOSTS = range(2, 255)
_VIRTUAL = range(1, 255)


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
    """The /24 of node `number`; UsageError for a number outside 1..254 or a network that `parse_network` refuses."""
    if not 1 <= number <= LARGEST_NUMBER:
        raise UsageError(f"Node number {number} does not exist.", why=f"numbers are 1 to {LARGEST_NUMBER}")
    base = int(parse_network(network).network_address)
    return IPv4Network((base + (number << 8), 24))


def gateway_of(network: str, number: int) -> str:
    """Address of the node's bridge."""
    return str(subnet_of(network, number)[1])


def vtep_address(network: str, number: int) -> str:
    """Address of the node's vxlan device."""
    return str(subnet_of(network, number)[0])


def instance_addresses(network: str, number: int) -> tuple[IPv4Address, int]:
    """The lowest address for instances of the node, and how many there are in a row."""
    return subnet_of(network, number)[_HOSTS[0]], len(_HOSTS)


def virtual_subnets(network: str) -> tuple[IPv4Network, IPv4Network]:
    """The two /24s that stable addresses of deploys are taken from."""
    base = int(parse_network(network).network_address)
    return IPv4Network((base, 24)), IPv4Network((base + (255 << 8), 24))


def virtual_addresses(network: str) -> tuple[str, ...]:
    """All 508 stable addresses that there are."""
    return tuple(str(subnet[host]) for subnet in virtual_subnets(network) for host in _VIRTUAL)
