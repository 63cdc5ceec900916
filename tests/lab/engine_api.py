"""The engine's HTTP API with nothing on top: what the fastest possible loop over containers uses."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tests.lab.json_socket import JsonSocket, NotThere


class EngineApi(JsonSocket):
    """One engine."""

    def run(
        self,
        name: str,
        image: str,
        command: Sequence[str],
        *,
        restart: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """Create and start a container on the default bridge; returns its id."""
        host = {"RestartPolicy": {"Name": restart}}
        settings = {"Image": image, "Cmd": list(command), "Labels": dict(labels or {}), "HostConfig": host}
        container = str(self.request("POST", f"/containers/create?name={name}", settings)["Id"])
        self.request("POST", f"/containers/{container}/start")
        return container

    def remove(self, container: str) -> None:
        self.request("DELETE", f"/containers/{container}?force=1&v=1")

    def containers(self, label: str, *, all: bool = False) -> list[str]:
        """Ids of the containers with this label which run (or exist, with `all`)."""
        filters = quote(json.dumps({"label": [label]}))
        return [str(c["Id"]) for c in self.request("GET", f"/containers/json?all={int(all)}&filters={filters}")]

    def running(self, label: str, prefix: str) -> dict[str, tuple[str, float]]:
        """Running containers whose `label` begins with `prefix`: name -> (id, started, in seconds since 1970)."""
        found = {}
        for container in self.containers(label):
            try:
                details = self.request("GET", f"/containers/{container}/json")
            except NotThere:  # it has been removed meanwhile
                continue
            if details["Config"]["Labels"][label].startswith(prefix):
                found[str(details["Name"]).lstrip("/")] = (container, _started_at(details["State"]))
        return found

    def ended(self, label: str, prefix: str) -> dict[str, str]:
        """Containers that do not run and whose `label` begins with `prefix`: label -> when they ended, as text."""
        found = {}
        for container in self.containers(label, all=True):
            details = self.request("GET", f"/containers/{container}/json")
            value = str(details["Config"]["Labels"][label])
            if value.startswith(prefix) and not details["State"]["Running"]:
                found[value] = str(details["State"]["FinishedAt"])
        return found

    def started_at(self, container: str) -> float:
        """Seconds since 1970; 0.0 while it does not run."""
        return _started_at(self.request("GET", f"/containers/{container}/json")["State"])


def _started_at(state: Mapping[str, Any]) -> float:
    if not state["Running"]:
        return 0.0
    # Nanoseconds are more than `fromisoformat` reads.
    return datetime.fromisoformat(state["StartedAt"][:26].rstrip("Z") + "+00:00").timestamp()
