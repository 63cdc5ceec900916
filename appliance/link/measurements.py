"""What nodes last measured, in this manager's memory: too fresh and too much for the store."""

import threading
import time
from collections.abc import Callable

from appliance.link.messages import Heartbeat
from appliance.model.usage import InstanceUsage, NodeUsage
from appliance.store.state import State

STALE_AFTER = 60.0
"""Seconds after which a measurement says nothing about now."""


class Measurements:
    """Thread-safe. `heard` and `gone` are the link's callbacks."""

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._nodes: dict[str, tuple[float, NodeUsage]] = {}

    def heard(self, node_id: str, message: Heartbeat) -> None:
        if message.usage is not None:
            with self._lock:
                self._nodes[node_id] = (self._clock(), message.usage)

    def gone(self, node_id: str) -> None:
        with self._lock:
            self._nodes.pop(node_id, None)

    def nodes(self) -> dict[str, NodeUsage]:
        """By node id; those that have not been heard of lately are left out."""
        now = self._clock()
        with self._lock:
            return {node: usage for node, (at, usage) in self._nodes.items() if now - at < STALE_AFTER}

    def instances(self) -> dict[str, InstanceUsage]:
        """By name; a node speaks only for what is bound to it."""
        found = {}
        for node, usage in self.nodes().items():
            for one in usage.instances:
                binding = self._state.bindings.get(one.instance)
                if binding is not None and binding.node == node:
                    found[one.instance] = one
        return found
