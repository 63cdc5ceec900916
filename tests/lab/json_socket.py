"""JSON over HTTP over a unix socket, with nothing on top: what an engine and a manager speak on a host."""

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class NotThere(RuntimeError):
    """The other end has no such thing (any more)."""


class JsonSocket:
    """One socket; each thread keeps a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def request(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """The parsed answer; raises RuntimeError with the other end's words for a status of 400 and above."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _UnixConnection(self._path)
        connection.request(method, url, json.dumps(body or {}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            kind = NotThere if answer.status == 404 else RuntimeError
            raise kind(f"{method} {url}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
