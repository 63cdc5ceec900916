"""The ways through the overlay that nodes find in trouble, in memory, and a word when that begins or ends."""

import threading
from collections.abc import Callable

from appliance.link.messages import Heartbeat
from appliance.model.measurement import Measurement


class Ways:
    """Thread-safe. `heard` and `gone` are the link's callbacks; `tell` gets (node id, sentence, whether it warns).

    `reached` says whether a manager has a link to a node (by its id).
    """

    def __init__(self, tell: Callable[[str, str, bool], None], reached: Callable[[str], bool]) -> None:
        self._tell = tell
        self._reached = reached
        self._lock = threading.Lock()
        self._bad: dict[str, tuple[Measurement, ...]] = {}
        self._warned: set[str] = set()

    def heard(self, node_id: str, message: Heartbeat) -> None:
        if message.overlay is None:
            return
        bad = tuple(measured for measured in message.overlay if not self._may_be_off(measured))
        with self._lock:
            self._bad[node_id] = bad
            warned = node_id in self._warned
            (self._warned.add if bad else self._warned.discard)(node_id)
        if bad and not warned:
            self._tell(node_id, f"the overlay is in trouble on the way to {_nodes(len(bad))}", True)
        elif warned and not bad:
            self._tell(node_id, "the overlay reaches every node again", False)

    def _may_be_off(self, measured: Measurement) -> bool:
        """Silent through the overlay and not asked in another way: it may be off, unless a manager knows better."""
        return measured.host is None and not measured.overlay and not self._reached(measured.node)

    def gone(self, node_id: str) -> None:
        """That it was in trouble is not forgotten: a link that comes and goes warns once."""
        with self._lock:
            self._bad.pop(node_id, None)

    def bad(self, node_id: str) -> tuple[Measurement, ...]:
        """Nothing for a node that is not connected or has not looked yet."""
        with self._lock:
            return self._bad.get(node_id, ())


def _nodes(count: int) -> str:
    return "one node" if count == 1 else f"{count} nodes"
