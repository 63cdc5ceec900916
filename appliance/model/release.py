"""Releases side by side: managers work with agents of their own release and of the one before. Pure.

Managers are upgraded first, so an agent is never newer than all of its managers. One that is newer than a manager is
refused by that one: it may say and keep what the manager does not understand.
"""

import msgspec

from appliance import RELEASE_COUNTER, VERSION
from appliance.errors import Refused


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """`number` counts releases, and is what is compared; `version` is for people."""

    number: int
    version: str

    def __str__(self) -> str:
        return f"release {self.number} ({self.version})"


THIS_RELEASE = Release(number=RELEASE_COUNTER, version=VERSION)
PAGE = "managers#releases-side-by-side"
"""Of the manual."""


def refusal(agent: Release, manager: Release, where: str) -> Refused | None:
    """Why a manager does not take an agent; None where it does. `where`: the agent's node."""
    if agent.number > manager.number:
        return Refused(
            f"The agent is of {agent}, newer than the manager's {manager}.",
            where=where,
            why="managers are upgraded first: an older one may not understand what a newer agent says",
            next=f"upgrade the managers to {agent}, or start the node with {manager}; what runs on it goes on",
            page=PAGE,
        )
    if agent.number < manager.number - 1:
        return Refused(
            f"The agent is of {agent}, too old for the manager's {manager}.",
            where=where,
            why=f"managers work with agents of their own release and of the one before, {manager.number - 1}",
            next=f"upgrade the node to {manager}; what runs on it goes on",
            page=PAGE,
        )
    return None
