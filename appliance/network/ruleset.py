"""The table of our own in a node's nftables: stable addresses of deploys, and who gets into isolated services. Pure.

A packet meets two look-ups, however much there is: its destination in `balance`, which leads a new connection to a
ready instance in turn, and in `isolated`, which leads to the addresses that may come in. Connections that stand are
conntrack's and look at neither (nft(8); the kernel calls nat chains for the first packet of a connection only).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from appliance.model.addresses import parse_network, subnet_of, virtual_subnets
from appliance.model.cluster import INSTANCE_BRIDGE
from appliance.model.directory import Directory, Endpoint

FAMILY = "ip"
TABLE = "appliance"


def ruleset(directory: Directory, *, network: str, node: str, number: int) -> str:
    """What replaces the table, whatever it was, in one step. `node` is this node's id, `number` its number."""
    balance = _balance(directory, number)
    isolated = _isolated(directory, node)
    own = ", ".join(map(str, virtual_subnets(network)))
    subnet = subnet_of(network, number)
    lines = [
        f"add table {FAMILY} {TABLE}",
        f"delete table {FAMILY} {TABLE}",
        f"table {FAMILY} {TABLE} {{",
        *_map("balance", {ip: f"goto {_towards(name)}" for ip, name, _ in balance}),
        *_map("isolated", {each.ip: f"goto {_into(each.service)}" for each, _ in isolated}),
        *(line for _, name, instances in balance for line in _chain(_towards(name), [_in_turn(instances)])),
        *_doors(isolated, network),
        *_chain("refuse", ["meta l4proto tcp reject with tcp reset", "reject with icmp port-unreachable"]),
        # Before Docker's chains, which may know the same port.
        *_chain("prerouting", ["type nat hook prerouting priority -110", "ip daddr vmap @balance"]),
        *_chain("output", ["type nat hook output priority -110", "ip daddr vmap @balance"]),
        # An instance answers a neighbour, or itself, without asking us; it has to answer the gateway, which does.
        *_chain(
            "postrouting",
            [
                "type nat hook postrouting priority 90",
                f'oifname "{INSTANCE_BRIDGE}" ip saddr {subnet} ct original ip daddr {{ {own} }} masquerade',
            ],
        ),
        *_chain(
            "forward",
            [
                "type filter hook forward priority -10",
                "ct state established,related accept",
                f"ip daddr {{ {own} }} goto refuse",
                "ip daddr vmap @isolated",
            ],
        ),
        *_chain("leaving", ["type filter hook output priority -10", f"ip daddr {{ {own} }} goto refuse"]),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _balance(directory: Directory, number: int) -> list[tuple[str, str, list[str]]]:
    """(stable address, deploy, its ready instances) of every deploy that has some.

    Nodes begin at different instances: clients that open one connection each would all meet the first one otherwise.
    """
    ready: dict[str, list[str]] = defaultdict(list)
    for each in sorted(directory.endpoints.values(), key=lambda each: (each.index, each.instance)):
        if each.ready:
            ready[f"{each.service}/{each.deploy}"].append(each.ip)
    found = []
    for name, deploy in sorted(directory.deploys.items()):
        instances = ready.get(name, [])
        if deploy.virtual and instances:
            first = number % len(instances)
            found.append((deploy.virtual, name, instances[first:] + instances[:first]))
    return found


def _in_turn(instances: list[str]) -> str:
    if len(instances) == 1:
        return f"dnat to {instances[0]}"
    places = ", ".join(f"{place} : {ip}" for place, ip in enumerate(instances))
    return f"dnat to numgen inc mod {len(instances)} map {{ {places} }}"


def _isolated(directory: Directory, node: str) -> list[tuple[Endpoint, list[str]]]:
    """This node's instances of isolated services, and the addresses of instances that may come in."""
    addresses: dict[str, list[str]] = defaultdict(list)
    for _, each in sorted(directory.endpoints.items()):
        addresses[each.service].append(each.ip)
    found = []
    for _, each in sorted(directory.endpoints.items()):
        policy = directory.policies.get(each.service)
        if policy is not None and each.node == node:
            friends = dict.fromkeys((each.service, *policy.allow))
            found.append((each, [ip for service in friends for ip in addresses[service]]))
    return found


def _doors(isolated: list[tuple[Endpoint, list[str]]], network: str) -> Iterator[str]:
    """A chain for each isolated service. Nodes come in: their addresses in the overlay are `.0` and `.1` of a /24."""
    nodes = f"ip saddr & 255.255.0.254 == {parse_network(network).network_address} accept"
    for service, friends in {each.service: friends for each, friends in isolated}.items():
        yield from _chain(_into(service), [nodes, f"ip saddr {{ {', '.join(friends)} }} accept", "drop"])


def _towards(deploy: str) -> str:
    return f"to-{deploy}"


def _into(service: str) -> str:
    return f"into-{service}"


def _map(name: str, verdicts: dict[str, str]) -> Iterator[str]:
    yield f"  map {name} {{"
    yield "    type ipv4_addr : verdict"
    if verdicts:
        yield f"    elements = {{ {', '.join(f'{ip} : {verdict}' for ip, verdict in verdicts.items())} }}"
    yield "  }"


def _chain(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"  chain {name} {{"
    yield from (f"    {rule}" for rule in rules)
    yield "  }"
