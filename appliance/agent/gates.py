"""Whether an instance may start after a start of its node: lower ranks of its service come first. Pure.

Only what the agent finds wanted on its own disk is held. What crashed, and what a manager orders, never is: there the
orchestrator sees to the ranks. Nothing waits for ever, since a node may be alone for good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.instance import Assignment, InstanceStatus

ALONE_AFTER = 30.0
"""Seconds without a word or without a link after which the node decides by what it knows itself."""
FAILING_FOR = 60.0
"""Seconds of failures after which nobody waits any more for an instance of this node."""
HEARING = 8.0
"""Seconds after the agent's start in which a manager may still say that an instance is not this node's any more."""
LONGEST = 600.0
"""Seconds after the agent's start during which instances of this node are waited for."""


@dataclass(frozen=True)
class Lower:
    """An instance of a lower rank on this node, with its status if it has one; `failing`: since when, None : it is not.

    Moments are of the supervisor's clock.
    """

    assignment: Assignment
    status: InstanceStatus | None
    failing: float | None = None

    def holds(self, now: float) -> bool:
        if self.failing is not None and now - self.failing > FAILING_FOR:
            return False
        if self.status is None:
            return True
        ended = self.assignment.job is not None and self.status.state in ("succeeded", "failed")
        return not (self.status.ready or ended)


@dataclass(frozen=True)
class Gates:
    """`opened`: what a manager last said, service → highest rank that may start; None : nothing yet.

    `begun`: when the agent started; `linked`: when the link was last seen up. A service that is not in `opened` has
    nothing to wait for. `confirmed`: a manager has said what this node is to run at all.
    """

    begun: float
    opened: Mapping[str, int] | None = None
    linked: float = 0.0
    confirmed: bool = False

    def why_closed(self, assignment: Assignment, others: Iterable[Lower], now: float) -> str:
        """What the instance waits for, as a sentence; "" : it may start."""
        if assignment.service == SYSTEM_SERVICE:
            return ""
        if not self.confirmed and now - self.begun <= HEARING:
            return "waiting for a manager's word that it is still to run here"
        rank = assignment.rank
        lower = [
            each
            for each in others
            if each.assignment.service == assignment.service
            and each.assignment.rank < rank
            and each.assignment.desired == "running"
        ]
        holding = sorted(each.assignment.instance for each in lower if each.holds(now))
        if holding and now - self.begun <= LONGEST:
            return f"waiting for lower ranks: {', '.join(holding[:3])}{' and others' if len(holding) > 3 else ''}"
        # No rank is below 0 (`spec/schema.py`).
        return self._by_manager(assignment.service, rank, now) if rank > 0 else ""

    def _by_manager(self, service: str, rank: int, now: float) -> str:
        if self.opened is None:
            silent = now - self.begun <= ALONE_AFTER
            return "waiting for a manager's word on lower ranks" if silent else ""
        if self.opened.get(service, rank) >= rank or now - self.linked > ALONE_AFTER:
            return ""
        return f"waiting for lower ranks of {service} on other nodes"
