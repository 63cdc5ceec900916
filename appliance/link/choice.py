"""Which of the managers that a node is linked to it follows. Pure."""

import hashlib
from collections.abc import Mapping


def chosen(current: str, links: Mapping[str, bool], node: str) -> str:
    """The manager to follow, "" when there is none.

    `links`: manager → whether it answers and has a fresh copy of the store. The `current` one stays as long as that is
    true of it, or of no other. Nodes spread over the managers: each has an order of its own.
    """
    good = [manager for manager, is_good in links.items() if is_good]
    if current in links and (current in good or not good):
        return current
    return max(good or links, key=lambda manager: hashlib.sha256(f"{node} {manager}".encode()).digest(), default="")
