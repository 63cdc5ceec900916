"""Which requests from outside go to which instances: pure, from the copy of the store."""

from collections.abc import Iterator

from appliance.model.entry import EntryRule
from appliance.model.service import Entry, Revision
from appliance.network.directory import revision_of
from appliance.store.state import State

ENTRY_LABEL = "entry"
"""Nodes that carry this label serve the entry beside the managers."""


def entry_nodes(state: State) -> set[str]:
    """Ids of the nodes that serve the entry."""
    nodes = state.nodes.all().values()
    return {node.id for node in nodes if "manager" in node.roles or ENTRY_LABEL in node.labels}


def entry_rules(state: State) -> tuple[EntryRule, ...]:
    """One for each entry of each service: those for requests in the order of host and path, then those for ports. Of
    two that ask for the same the first service by name has it."""
    found: dict[str, EntryRule] = {}
    for revision, entry in entries_in_effect(state):
        if entry.claim not in found:
            backends = tuple(sorted(_ready(state, revision.service, entry)))
            found[entry.claim] = _rule(revision.service, entry, backends)
    return tuple(sorted(found.values(), key=lambda rule: (rule.protocol, rule.port, rule.host, rule.path)))


def entries_in_effect(state: State) -> Iterator[tuple[Revision, Entry]]:
    """Each with the revision that it is of, in the order of services."""
    for service, head in sorted(state.services.all().items()):
        revision = revision_of(state, service)
        if revision is not None and not head.deleted:
            for entry in revision.spec.entry:
                yield revision, entry


def _rule(service: str, entry: Entry, backends: tuple[str, ...]) -> EntryRule:
    return EntryRule(
        service=service,
        host=entry.host,
        path=entry.path,
        backends=backends,
        protocol="tcp" if entry.tcp else "udp" if entry.udp else "http",
        port=entry.tcp or entry.udp,
        tls=entry.tls,
        body=entry.body,
        timeout=entry.timeout,
        sticky=entry.sticky,
    )


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
