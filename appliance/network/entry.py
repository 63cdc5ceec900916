"""Which requests from outside go to which instances: pure, from the copy of the store."""

from appliance.model.entry import EntryRule
from appliance.model.service import Entry
from appliance.network.directory import in_effect
from appliance.store.state import State

ENTRY_LABEL = "entry"
"""Nodes that carry this label serve the entry beside the managers."""


def entry_nodes(state: State) -> set[str]:
    """Ids of the nodes that serve the entry."""
    nodes = state.nodes.all().values()
    return {node.id for node in nodes if "manager" in node.roles or ENTRY_LABEL in node.labels}


def entry_rules(state: State) -> tuple[EntryRule, ...]:
    """One for each entry of each service, in the order of host and path. Of two that ask for the same the first
    service by name has it."""
    found: dict[tuple[str, str], EntryRule] = {}
    for service in sorted(state.services.all()):
        spec, head = in_effect(state, service), state.services.get(service)
        for entry in spec.entry if spec and head and not head.deleted else ():
            backends = tuple(sorted(_ready(state, service, entry)))
            rule = EntryRule(service=service, host=entry.host, path=entry.path, backends=backends)
            found.setdefault((entry.host, entry.path), rule)
    return tuple(rule for _, rule in sorted(found.items()))


def _ready(state: State, service: str, entry: Entry) -> list[str]:
    """Instances on nodes that cannot be reached stay: they serve as long as they answer, which nginx sees itself."""
    nodes, found = state.nodes.all(), []
    for name, status in state.instance_status.below(f"{service}/{entry.deploy}-"):
        binding = state.bindings.get(name)
        if binding is None or name.rpartition("-")[0] != f"{service}/{entry.deploy}":
            continue
        node = nodes.get(binding.node)
        address = binding.ip or (node.address if node else "")
        if status.node == binding.node and status.ready and status.state == "running" and address:
            found.append(f"{address}:{entry.port}")
    return found
