"""`depends_on` as ranks: whatever a service depends on has a lower rank."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")


def ranks(needs: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """`needs`: service → those it depends on → condition; all of them are keys. Raises ValueError for a circle."""
    found: dict[str, int] = {}
    try:
        for name in TopologicalSorter(needs).static_order():
            found[name] = max((found[each] + 1 for each in needs[name]), default=0)
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise ValueError(f"the services depend on each other in a circle: {circle}") from error
    return found


def jobs(needs: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Those that somebody waits for to complete: they are jobs here."""
    completed = "service_completed_successfully"
    return frozenset(name for each in needs.values() for name, condition in each.items() if condition == completed)
