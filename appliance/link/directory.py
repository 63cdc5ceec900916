"""Tells every node who is where."""

from collections.abc import Callable
from itertools import batched

from appliance.link.messages import DirectoryNews
from appliance.link.telling import Outlet, Telling
from appliance.model.directory import Directory, gone_and_new
from appliance.store.state import State

ENDPOINTS_IN_MESSAGE = 5000
"""So that no message comes near the largest size."""


def directory_telling(state: State, outlet: Outlet, directory_of: Callable[[State], Directory]) -> Telling[Directory]:
    """A component. `directory_of` works the directory out from the state. Pure."""
    tables = (
        state.services,
        state.rollouts,
        state.instances,
        state.bindings,
        state.instance_status,
        state.node_status,
        state.virtual,
    )

    def wanted(state: State) -> Callable[[str], Directory]:
        now = directory_of(state)
        return lambda node_id: now

    return Telling("directory", state, outlet, [table.subscribe for table in tables], wanted, news)


def news(before: Directory | None, now: Directory) -> tuple[DirectoryNews, ...]:
    """The messages that bring a node from `before` (None : it knows nothing) to `now`. Pure."""
    known = before or Directory()
    gone, fresh = gone_and_new(known, now)
    deploys = now.deploys if before is None or known.deploys != now.deploys else None
    policies = now.policies if before is None or known.policies != now.policies else None
    if before is not None and not gone and not fresh and deploys is None and policies is None:
        return ()
    parts = list(batched(fresh.values(), ENDPOINTS_IN_MESSAGE, strict=False)) or [()]
    first = DirectoryNews(full=before is None, endpoints=parts[0], gone=gone, deploys=deploys, policies=policies)
    return (first, *(DirectoryNews(full=False, endpoints=each) for each in parts[1:]))
