"""A client of one manager's API over its admin socket, which tells what became of a write: done, refused or unknown."""

import http.client
import json
import socket
from enum import Enum
from pathlib import Path
from typing import Any

PATIENCE = 6.0
"""Seconds until an answer counts as lost."""


class Outcome(Enum):
    DONE = "done"
    REFUSED = "refused"
    """A manager said no: nothing was written."""
    UNKNOWN = "unknown"
    """No answer, or one that leaves open whether it was written."""


class Unanswered(Exception):
    """Nobody answered, or not what was asked for."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("manager", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """`socket` is the manager's admin socket, reachable on this machine whatever network the host is in."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, url: str) -> Any:
        """Raises Unanswered."""
        try:
            status, body = self._request("GET", url, None)
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"GET {url}: {error}") from error
        if status != 200:
            raise Unanswered(f"GET {url}: {status} {body!r}")
        return json.loads(body)

    def write(self, method: str, url: str, body: object = None) -> Outcome:
        try:
            status, _ = self._request(method, url, body)
        except (ConnectionRefusedError, FileNotFoundError):
            return Outcome.REFUSED  # not a byte was sent
        except (OSError, http.client.HTTPException):
            return Outcome.UNKNOWN
        if status < 300:
            return Outcome.DONE
        return Outcome.REFUSED if status < 500 else Outcome.UNKNOWN

    def _request(self, method: str, url: str, body: object) -> tuple[int, bytes]:
        connection = _Connection(self._path)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, url, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
