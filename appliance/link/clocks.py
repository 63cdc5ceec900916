"""How far nodes' clocks are off this manager's, in memory, and a word when one goes wrong or is right again."""

import threading
from collections.abc import Callable

from appliance.link.messages import Heartbeat
from appliance.model.skew import SKEW_CALM, Skew, complaint, direction


class Clocks:
    """Thread-safe. `heard` and `gone` are the link's callbacks; `tell` gets (node id, sentence, whether it warns)."""

    def __init__(self, tell: Callable[[str, str, bool], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._skews: dict[str, Skew] = {}
        self._wrong: set[str] = set()

    def heard(self, node_id: str, message: Heartbeat) -> None:
        skew = message.skew
        if skew is None:
            return
        said, right = complaint(skew), abs(skew.offset) < SKEW_CALM
        with self._lock:
            self._skews[node_id] = skew
            wrong = node_id in self._wrong
            if said and not wrong:
                self._wrong.add(node_id)
            elif right:
                self._wrong.discard(node_id)
        if said and not wrong:
            self._tell(node_id, said, True)
        elif right and wrong:
            self._tell(node_id, f"its clock is right again: {direction(skew.offset)} the manager's", False)

    def gone(self, node_id: str) -> None:
        """That it was wrong is not forgotten: a link that comes and goes warns once."""
        with self._lock:
            self._skews.pop(node_id, None)

    def of(self, node_id: str) -> Skew | None:
        """None for a node that is not connected or has not measured yet."""
        with self._lock:
            return self._skews.get(node_id)
