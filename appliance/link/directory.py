"""Tells every node who is where: everything when it says hello, afterwards only what changed."""

import threading
from collections.abc import Callable
from itertools import batched

from appliance.link.dispatch import Outlet
from appliance.link.messages import DirectoryNews
from appliance.loop import Loop
from appliance.model.directory import Directory, gone_and_new
from appliance.store.state import State

ENDPOINTS_IN_MESSAGE = 5000
"""So that no message comes near the largest size."""


class DirectoryDispatch:
    """A component. `directory_of` works the directory out from the state. Pure."""

    name = "directory"

    def __init__(self, state: State, outlet: Outlet, directory_of: Callable[[State], Directory]) -> None:
        self._state = state
        self._outlet = outlet
        self._directory_of = directory_of
        self._sent: dict[str, Directory] = {}
        self._lock = threading.Lock()
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        state = self._state
        tables = (
            state.services,
            state.rollouts,
            state.instances,
            state.bindings,
            state.instance_status,
            state.node_status,
            state.virtual,
        )
        self._loop.follow(*(table.subscribe for table in tables))
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def greet(self, node_id: str) -> None:
        """The node has said hello and expects everything."""
        with self._lock:
            self._sent.pop(node_id, None)
        self._loop.wake()

    def cycle(self) -> None:
        """Bring every connected node up to date with the state as it is now."""
        now = self._directory_of(self._state)
        told: dict[int, tuple[DirectoryNews, ...]] = {}
        for node_id in self._outlet.connected():
            with self._lock:
                before = self._sent.get(node_id)
                self._sent[node_id] = now
            # Nodes that were told the same before are told the same now.
            messages = told.get(id(before)) if before is not None else None
            if messages is None:
                messages = news(before, now)
                told[id(before)] = messages
            for message in messages:
                self._outlet.send(node_id, message)


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
