"""Tells the nodes that serve the entry its rules and certificates."""

from collections.abc import Callable

from appliance.link.messages import Entries
from appliance.link.telling import Outlet, Telling
from appliance.model.entry import EntryRule, HostCertificate
from appliance.store.state import State

_NONE = Entries(rules=(), certificates=())


def entry_telling(
    state: State,
    outlet: Outlet,
    rules: Callable[[State], tuple[EntryRule, ...]],
    nodes: Callable[[State], set[str]],
    certificates: Callable[[State], tuple[HostCertificate, ...]],
) -> Telling[Entries]:
    """A component. `rules`, `certificates` and `nodes` (who serves the entry) are worked out from the state.

    A node that no longer serves the entry is told that there are no rules.
    """
    tables = (
        state.services,
        state.rollouts,
        state.bindings,
        state.instance_status,
        state.nodes,
        state.secrets,
        state.certificates,
    )

    def wanted(state: State) -> Callable[[str], Entries]:
        all_of_it = Entries(rules=rules(state), certificates=certificates(state))
        serving = nodes(state)
        return lambda node_id: all_of_it if node_id in serving else _NONE

    return Telling("entries", state, outlet, [table.subscribe for table in tables], wanted, news)


def news(before: Entries | None, now: Entries) -> tuple[Entries, ...]:
    """Certificates go along only where they are news. Pure."""
    if before == now:
        return ()
    if before is not None and before.certificates == now.certificates:
        return (Entries(rules=now.rules),)
    return (now,)
