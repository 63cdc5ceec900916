"""HTTP over a unix socket of this host: to the manager's admin socket, and to the container engine."""

import http.client
import socket
from pathlib import Path


class UnixConnection(http.client.HTTPConnection):
    """`path` is the socket; `timeout` in seconds for each step."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Raises OSError where nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
