"""Somebody at work with the cluster by its own address, from a host that is no node: reads and writes all the time.

Reading and writing are two threads, so that neither waits for the other. Each request has a connection of its own, like
a new command's or a reloaded page's.
"""

import sys
from itertools import pairwise
from types import TracebackType
from typing import Self

from tests.lab.host import Host, Spawned
from tests.lab.waiting import eventually

_WORKING = """
import http.client, json, ssl, sys, threading, time
address, user, password, node = sys.argv[1:]
trust = ssl._create_unverified_context()
def ask(method, url, body=None, cookie=""):
    connection = http.client.HTTPSConnection(address, 8443, timeout=1.0, context=trust)
    try:
        headers = {"X-Appliance": "1", "Content-Type": "application/json", "Cookie": cookie}
        connection.request(method, url, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()
def login():
    while True:
        try:
            answer = ask("POST", "/api/login", {"user": user, "password": password})
            if answer.status == 200:
                return answer.getheader("Set-Cookie").split(";")[0]
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.2)
cookie = login()
said = threading.Lock()
def work(kind):
    number = 0
    while True:
        begun, number = time.time(), number + 1
        try:
            if kind == "read":
                answer = ask("GET", "/api/ps", cookie=cookie)
            else:
                labels = {"set": {"at-work": str(number)}, "remove": []}
                answer = ask("POST", f"/api/nodes/{node}/labels", labels, cookie)
            with said:
                print(kind, begun, answer.status, flush=True)
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(max(0.0, 0.05 - (time.time() - begun)))
threading.Thread(target=work, args=("write",), daemon=True).start()
work("read")
"""


class AtWork:
    """Context manager. `node`: whose label is written."""

    def __init__(self, host: Host, address: str, password: str, node: str) -> None:
        self._host = host
        self._arguments = (address, "admin", password, node)
        self._working: Spawned | None = None

    def __enter__(self) -> Self:
        script = self._host.directory / "working.py"
        script.write_text(_WORKING)
        self._working = self._host.spawn(sys.executable, "-s", script, *self._arguments)
        eventually(lambda: all(len(self.done(kind)) > 5 for kind in ("read", "write")), timeout=20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._working
        self._working.kill()

    def done(self, kind: str) -> list[float]:
        """Moments (seconds since 1970) at which requests of this kind began that were answered as wished."""
        assert self._working
        lines = [line.split() for line in self._working.log.read_text().split("\n")[:-1]]
        return [float(line[1]) for line in lines if len(line) == 3 and line[0] == kind and line[2] == "200"]

    def gap(self, kind: str, since: float, patience: float = 60.0) -> float:
        """The longest time without a success that ends after `since`, once there were some for two seconds."""

        def steady() -> bool:
            later = [moment for moment in self.done(kind) if moment > since]
            return len(later) > 10 and later[-1] - later[0] > 2.0 and later[-1] - later[-10] < 2.0

        eventually(steady, timeout=patience, every=0.2)
        return max(later - one for one, later in pairwise(self.done(kind)) if later > since)
