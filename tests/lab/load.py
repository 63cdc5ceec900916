"""A load on one address from a lab host, by clients that count what becomes of each request."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.lab.host import Host, Spawned
from tests.lab.one_way import VISITOR


class Load:
    """`clients` of each kind on `host`: those that open a connection for each request, and those that keep theirs."""

    def __init__(self, host: Host, address: str, name: str, *, clients: int = 4) -> None:
        self._running: Spawned = host.spawn(
            *VISITOR, sys.executable, "-s", Path(__file__).with_name("load_clients.py"), address, name, str(clients)
        )

    def end(self) -> dict[str, Any]:
        """``requests``, ``again`` and ``errors`` (sentence → how often)."""
        self._running.kill(signal.SIGTERM)
        assert self._running.wait(20) == 0, self._running.log.read_text()
        counts: dict[str, Any] = json.loads(self._running.log.read_text())
        return counts
