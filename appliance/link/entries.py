"""Tells the nodes that serve the entry its rules and certificates: when they say hello and after every change."""

import threading
from collections.abc import Callable

from appliance.link.dispatch import Outlet
from appliance.link.messages import Entries
from appliance.loop import Loop
from appliance.model.entry import EntryRule, HostCertificate
from appliance.store.state import State


class EntryDispatch:
    """A component. `rules`, `certificates` and `nodes` (who serves the entry) are worked out from the state."""

    name = "entry-dispatch"

    def __init__(
        self,
        state: State,
        outlet: Outlet,
        rules: Callable[[State], tuple[EntryRule, ...]],
        nodes: Callable[[State], set[str]],
        certificates: Callable[[State], tuple[HostCertificate, ...]],
    ) -> None:
        self._state = state
        self._outlet = outlet
        self._rules = rules
        self._nodes = nodes
        self._certificates = certificates
        self._sent: dict[str, Entries] = {}
        self._lock = threading.Lock()
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        state = self._state
        tables = (
            state.services,
            state.rollouts,
            state.bindings,
            state.instance_status,
            state.nodes,
            state.secrets,
            state.certificates,
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
        """Bring every node that serves the entry up to date; one that no longer does gets no rules."""
        wanted = Entries(rules=self._rules(self._state), certificates=self._certificates(self._state))
        serving = self._nodes(self._state)
        for node_id in self._outlet.connected():
            message = wanted if node_id in serving else Entries(rules=(), certificates=())
            with self._lock:
                before = self._sent.get(node_id)
                if before == message:
                    continue
                self._sent[node_id] = message
            known = before is not None and before.certificates == message.certificates
            self._outlet.send(node_id, Entries(rules=message.rules) if known else message)
