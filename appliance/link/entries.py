"""Tells the nodes that serve the entry its rules: all of them, when they say hello and after every change."""

import threading
from collections.abc import Callable

from appliance.link.dispatch import Outlet
from appliance.link.messages import Entries
from appliance.loop import Loop
from appliance.model.entry import EntryRule
from appliance.store.state import State


class EntryDispatch:
    """A component. `rules` and `nodes` (who serves the entry) are worked out from the state. Pure."""

    name = "entry-dispatch"

    def __init__(
        self,
        state: State,
        outlet: Outlet,
        rules: Callable[[State], tuple[EntryRule, ...]],
        nodes: Callable[[State], set[str]],
    ) -> None:
        self._state = state
        self._outlet = outlet
        self._rules = rules
        self._nodes = nodes
        self._sent: dict[str, Entries] = {}
        self._lock = threading.Lock()
        self._loop = Loop(self.name, self.cycle)
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        state = self._state
        tables = (state.services, state.rollouts, state.bindings, state.instance_status, state.nodes)
        self._unsubscribe = [table.subscribe(self._loop.wake) for table in tables]
        self._loop.start()

    def stop(self) -> None:
        while self._unsubscribe:
            self._unsubscribe.pop()()
        self._loop.stop()

    def greet(self, node_id: str) -> None:
        """The node has said hello and expects everything."""
        with self._lock:
            self._sent.pop(node_id, None)
        self._loop.wake()

    def cycle(self) -> None:
        """Bring every node that serves the entry up to date; one that no longer does gets no rules."""
        wanted, serving = Entries(rules=self._rules(self._state)), self._nodes(self._state)
        for node_id in self._outlet.connected():
            message = wanted if node_id in serving else Entries(rules=())
            with self._lock:
                if self._sent.get(node_id) == message:
                    continue
                self._sent[node_id] = message
            self._outlet.send(node_id, message)
