"""The admin socket's client, with a manager that dies while it is asked."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.cli.client import Client
from appliance.errors import LinkDown
from appliance.host.layout import Layout

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def manager(root: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """Says `answers`, one for each connection, b"" : it ends without a word. Gives what it was asked."""
    path = Layout(root).admin_socket
    path.parent.mkdir(parents=True)
    asked: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


def test_who_waits_asks_again_when_the_manager_ends_and_is_back(tmp_path: Path) -> None:
    with manager(tmp_path, b"", b"", ANSWER) as asked:
        assert Client(tmp_path).get_until(time.monotonic() + 30, "services", "shop", "progress", seen="7") == {}
    assert len(asked) == 3
    assert all(each.startswith(b"GET /api/services/shop/progress?seen=7 ") for each in asked)


def test_waiting_ends_with_the_reason_when_no_manager_comes(tmp_path: Path) -> None:
    with pytest.raises(LinkDown, match="No manager answers"):
        Client(tmp_path).get_until(time.monotonic() + 0.1, "status")


def test_who_does_not_wait_asks_once(tmp_path: Path) -> None:
    with manager(tmp_path, b"") as asked, pytest.raises(LinkDown):
        Client(tmp_path).get("status")
    assert len(asked) == 1
