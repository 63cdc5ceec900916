"""The engine's HTTP API with nothing on top: what the fastest possible loop over containers uses."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class EngineApi:
    """One engine; each thread keeps a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def request(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """The parsed answer; raises RuntimeError with the engine's words for a status of 400 and above."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _UnixConnection(self._path)
        connection.request(method, url, json.dumps(body or {}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {url}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def run(self, name: str, image: str, command: Sequence[str], *, restart: str = "") -> str:
        """Create and start a container on the default bridge; returns its id."""
        settings = {"Image": image, "Cmd": list(command), "HostConfig": {"RestartPolicy": {"Name": restart}}}
        container = str(self.request("POST", f"/containers/create?name={name}", settings)["Id"])
        self.request("POST", f"/containers/{container}/start")
        return container

    def remove(self, container: str) -> None:
        self.request("DELETE", f"/containers/{container}?force=1&v=1")

    def containers(self, label: str, *, all: bool = False) -> list[str]:
        """Ids of the containers with this label which run (or exist, with `all`)."""
        filters = quote(json.dumps({"label": [label]}))
        return [str(c["Id"]) for c in self.request("GET", f"/containers/json?all={int(all)}&filters={filters}")]

    def started_at(self, container: str) -> float:
        """Seconds since 1970; 0.0 while it does not run."""
        state = self.request("GET", f"/containers/{container}/json")["State"]
        if not state["Running"]:
            return 0.0
        return datetime.fromisoformat(state["StartedAt"][:26].rstrip("Z") + "+00:00").timestamp()


def count(engines: Sequence[EngineApi], label: str, *, all: bool = False) -> int:
    return sum(len(engine.containers(label, all=all)) for engine in engines)


def seconds_until(check: Callable[[], bool], since: float, *, limit: float = 600) -> float:
    """Seconds from the `time.monotonic()` value `since` until `check` holds, looked at every 30 ms."""
    while not check():
        if time.monotonic() - since > limit:
            raise TimeoutError(f"not reached within {limit:g} s")
        time.sleep(0.03)
    return time.monotonic() - since


def restart_seconds(engine: EngineApi, container: str, kill: Callable[[str], float]) -> float:
    """Kill a container's processes; the seconds from the kill to the start the engine reports."""
    before = engine.started_at(container)
    killed = kill(container)
    seconds_until(lambda: engine.started_at(container) > before, time.monotonic(), limit=60)
    return engine.started_at(container) - killed


class BareLoop:
    """The limit: a loop over the engines' APIs, four threads in all, hosts in turn."""

    name = "bare engine loop"

    def __init__(self, engines: Sequence[EngineApi], image: str, command: Sequence[str]) -> None:
        self._engines = engines
        self._image = image
        self._command = command
        self._made: list[tuple[EngineApi, str]] = []

    def create(self, replicas: int) -> float:
        """Seconds until all run."""
        begun = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            self._made = list(pool.map(self._one, range(replicas)))
        return time.monotonic() - begun

    def remove(self) -> float:
        begun = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda made: made[0].remove(made[1]), self._made))
        return time.monotonic() - begun

    def _one(self, index: int) -> tuple[EngineApi, str]:
        engine = self._engines[index % len(self._engines)]
        return engine, engine.run(f"bare-{index}", self._image, self._command)
