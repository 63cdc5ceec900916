"""How long clients find nobody at an address: one that asks all the time, on a host of the lab.

It asks for a host that the entry has no rule for, so that the entry's own nginx answers and nothing behind it counts.
"""

import sys
import time
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.host import Host, Spawned
from tests.lab.waiting import eventually

EVERY = 0.015
"""Seconds between two questions."""
_ASKING = f"""
import socket, sys, time
address, port = sys.argv[1], int(sys.argv[2])
while True:
    begun = time.time()
    try:
        with socket.create_connection((address, port), 0.1) as connection:
            connection.settimeout(0.1)
            connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            if connection.recv(1):
                print(begun, flush=True)
    except OSError:
        pass
    time.sleep(max(0.0, {EVERY} - (time.time() - begun)))
"""


class Client:
    """Context manager: asks an HTTP server until it is left. `gap` is about the answers so far."""

    def __init__(self, host: Host, address: str, port: int = 80) -> None:
        self._host = host
        self._arguments = (address, str(port))
        self._asking: Spawned | None = None

    def __enter__(self) -> Self:
        script = self._host.directory / "asking.py"
        script.write_text(_ASKING)
        self._asking = self._host.spawn(sys.executable, script, *self._arguments)
        # Only who is answered before can tell how long it was not.
        eventually(lambda: len(self.answers()) > 10, timeout=20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._asking
        self._asking.kill()

    def answers(self) -> list[float]:
        """Moments (seconds since 1970) at which a question was asked that was answered."""
        assert self._asking
        lines = Path(self._asking.log).read_text().split("\n")[:-1]
        return [float(line) for line in lines]

    def gap(self, since: float, patience: float = 10.0) -> float:
        """The longest time without an answer that lies after `since`, once answers have come steadily for a second.

        It counts from the last answer before. An AssertionError when none come within `patience` seconds.
        """
        deadline = time.time() + patience
        while time.time() < deadline:
            moments = self.answers()
            recent = [moment for moment in moments if moment > time.time() - 1.0]
            if time.time() > since + 1.5 and len(recent) > 10:
                return max(later - one for one, later in pairwise(moments) if later > since)
            time.sleep(0.1)
        raise AssertionError(f"nobody answers at {self._arguments[0]} for {patience:.0f} s")
