"""What this node's agent knows, in a file: `appliance status` shows it where no manager answers."""

import json
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from appliance import VERSION
from appliance.api.rows import status_row
from appliance.host.files import write_if_changed
from appliance.link.agent_end import LinkState
from appliance.link.messages import TurnedAway
from appliance.loop import Loop
from appliance.model.identity import NodeIdentity
from appliance.model.instance import InstanceStatus
from appliance.model.wish import LocalWish

LOOK_AGAIN = 2.0
"""Seconds; the link does not say when it comes and goes."""
NOT_BEFORE = 0.5
"""Seconds between two writes: a deploy changes instances many times a second, and people read more slowly."""


class StatusFile:
    """A component. `wake` after every change. `damaged`: instances whose assignment cannot be read; `turned_away`: why
    which managers do not work with this node."""

    name = "status file"

    def __init__(
        self,
        path: Path,
        identity: NodeIdentity,
        link: Callable[[], LinkState],
        statuses: Callable[[], tuple[InstanceStatus, ...]],
        wishes: Callable[[], tuple[LocalWish, ...]] = tuple,
        damaged: Callable[[], Collection[str]] = tuple,
        turned_away: Callable[[], Mapping[str, TurnedAway]] = dict,
    ) -> None:
        self._path = path
        self._identity = identity
        self._link = link
        self._statuses = statuses
        self._wishes = wishes
        self._damaged = damaged
        self._turned_away = turned_away
        self._written = -NOT_BEFORE
        self._loop = Loop("status file", self.cycle, interval=LOOK_AGAIN)
        self.wake = self._loop.wake

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()
        self._path.unlink(missing_ok=True)

    def cycle(self) -> float | None:
        """Write what has changed, or say in how many seconds it may be written."""
        early = self._written + NOT_BEFORE - time.monotonic()
        if early > 0:
            return early
        if write_if_changed(self._path, json.dumps(self.seen(), indent=2) + "\n", mode=0o644):
            self._written = time.monotonic()
        return None

    def seen(self) -> dict[str, Any]:
        """What the agent knows now."""
        link = self._link()
        rows = [status_row(status, self._identity.name) for status in self._statuses()]
        wishes = {wish.instance: _told(wish) for wish in self._wishes()}
        for row in rows:
            row["message"] = row["message"] or wishes.get(str(row["instance"]), "")
        return {
            "node": self._identity.id,
            "name": self._identity.name,
            "cluster": self._identity.cluster_name,
            "manager": link.manager,
            "connected": bool(link.manager),
            "version": VERSION,
            "turned_away": [
                {"manager": manager, "what": said.what, "why": said.why, "next": said.next}
                for manager, said in sorted(self._turned_away().items())
            ],
            "damaged": sorted(self._damaged()),
            "instances": sorted(rows, key=lambda row: str(row["instance"])),
        }


def _told(wish: LocalWish) -> str:
    return f"{wish.action} asked for here by {wish.who} at {wish.at}; no manager has heard of it yet"
