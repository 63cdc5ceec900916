"""Logs, commands and events over real WebSockets; the node's end is a channel in memory."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import InvalidStatus

from appliance.api.overview import overview
from appliance.errors import EngineError
from appliance.link.messages import ExecRequest, LogsRequest
from appliance.terminal.live import Live, parse_exec, session_of
from tests.unit.api.cluster_in_memory import InMemory, in_memory

HOST = "cluster.local:8443"


class MemoryChannel:
    """A command that gives back what it is given, or a log of three lines; `broken` fails as an engine would."""

    def __init__(self, request: ExecRequest | LogsRequest) -> None:
        self._request = request
        self._pieces: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self.closed = False
        if isinstance(request, LogsRequest):
            for line in (b"one\n", b"two\n", b"three\n")[-(request.tail if request.tail is not None else 3) :]:
                self._pieces.put_nowait(("stdout", line))
            if not request.follow:
                self._pieces.put_nowait(None)
        elif request.command == ("fail",):
            self._pieces.put_nowait(("stderr", b"no\n"))
            self._pieces.put_nowait(None)

    async def read(self) -> tuple[str, bytes] | None:
        if isinstance(self._request, ExecRequest) and self._request.command == ("broken",):
            raise EngineError("There is no such program.")
        return await self._pieces.get()

    async def write(self, data: bytes) -> None:
        self._pieces.put_nowait(("stdout", data))

    async def close_input(self) -> None:
        self._pieces.put_nowait(None)

    def resize(self, rows: int, columns: int) -> None:
        self._pieces.put_nowait(("stdout", f"{rows}x{columns}".encode()))

    def exit_code(self) -> int:
        return 7 if isinstance(self._request, ExecRequest) and self._request.command == ("fail",) else 0

    def close(self) -> None:
        self.closed = True


class MemoryLink:
    def __init__(self) -> None:
        self.opened: list[MemoryChannel] = []

    async def open_channel(self, node_id: str, request: ExecRequest | LogsRequest) -> MemoryChannel:
        assert node_id == "n1"
        channel = MemoryChannel(request)
        self.opened.append(channel)
        return channel


class Served:
    def __init__(self, cluster: InMemory, root: Path) -> None:
        self.cluster = cluster
        self.root = root
        self.link = MemoryLink()
        self.admin = root / "run/appliance/admin-live.sock"
        self.web = root / "run/appliance/web/live.sock"

    def talk(self, path: str, *sent: str | bytes, most: int = 100, **options: Any) -> list[Any]:
        """Everything received (text frames parsed) until the server closes or `most` frames came."""

        async def run() -> list[Any]:
            got: list[Any] = []
            async with asyncio.timeout(10), unix_connect(str(self.admin), uri=f"ws://x{path}", **options) as socket:
                for message in sent:
                    await socket.send(message)
                async for frame in socket:
                    got.append(frame if isinstance(frame, bytes) else json.loads(frame))
                    if len(got) == most:
                        break
            return got

        return asyncio.run(run())

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "appliance", *arguments]
        return subprocess.run(command, capture_output=True, timeout=30, check=False, **options)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with in_memory() as cluster:
        cluster.ask("POST", "/api/services", {"text": "shop web 1 appliance/busybox"})
        cluster.run("shop/web-0")
        made = Served(cluster, tmp_path)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        live = Live(
            cluster.state, made.link, loop, made.admin, made.web, cluster.context.sessions.user_of,
            lambda: overview(cluster.state, cluster.context.events, "0.1.0", "n1", {}),
        )  # fmt: skip
        live.start()
        yield made
        live.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_logs_come_as_frames_and_end(served: Served) -> None:
    got = served.talk("/ws/logs?instance=shop/web-0&tail=2")
    assert got == [b"\x01two\n", b"\x01three\n", {"end": True}]


def test_the_channel_is_closed_when_the_reader_goes_away(served: Served) -> None:
    served.talk("/ws/logs?instance=shop/web-0&follow=1", most=3)
    deadline = threading.Event()
    for _ in range(100):
        if served.link.opened[0].closed:
            break
        deadline.wait(0.05)
    assert served.link.opened[0].closed


def test_exec_carries_input_size_and_exit_code(served: Served) -> None:
    wish = json.dumps({"instance": "shop/web-0", "command": ["cat"], "terminal": True})
    got = served.talk("/ws/exec", wish, b"\x00hello", json.dumps({"rows": 5, "columns": 9}), json.dumps({"eof": True}))
    assert got == [b"\x01hello", b"\x015x9", {"exit": 0}]


def test_errors_of_the_node_are_told(served: Served) -> None:
    [said] = served.talk("/ws/exec", json.dumps({"instance": "shop/web-0", "command": ["broken"]}))
    assert said["error"]["what"] == "There is no such program."


def test_an_unknown_instance_is_named(served: Served) -> None:
    [said] = served.talk("/ws/logs?instance=shop/nothing-0")
    assert said["error"]["kind"] == "NotFound" and "shop/nothing-0" in said["error"]["what"]


@pytest.mark.parametrize("message", ["", "[]", "{}", '{"instance": 1}'])
def test_a_malformed_exec_is_wrong_usage(served: Served, message: str) -> None:
    [said] = served.talk("/ws/exec", message)
    assert said["error"]["exit_code"] == 2


def test_events_begin_with_everything_and_follow_changes(served: Served) -> None:
    async def run() -> None:
        async with asyncio.timeout(10), unix_connect(str(served.admin), uri="ws://x/ws/events") as socket:
            first = json.loads(await socket.recv())
            assert [row["state"] for row in first["instances"]] == ["running"]
            assert set(first) >= {"cluster", "nodes", "services", "instances"}
            change = asyncio.to_thread(served.cluster.run, "shop/web-0", ready=False)
            await change
            assert json.loads(await socket.recv())["instances"][0]["ready"] is False

    asyncio.run(run())


@pytest.mark.parametrize("origin", [None, "https://evil.example"])
def test_the_web_socket_takes_our_own_page_only(served: Served, origin: Any) -> None:
    assert refused(served, origin, "") == 403


def test_the_web_socket_takes_people_who_are_logged_in(served: Served) -> None:
    assert refused(served, f"https://{HOST}", "__Host-session=wrong") == 401
    session = served.cluster.ask("POST", "/api/login", {"user": "admin", "password": "secret"})
    assert session == {"user": "admin"}
    made = served.cluster.context.sessions.log_in("admin", "secret")
    assert refused(served, f"https://{HOST}", f"__Host-session={made}") == 0


def refused(served: Served, origin: Any, cookie: str) -> int:
    """The HTTP status that refused the WebSocket, 0 if it was let in."""

    async def run() -> int:
        try:
            connection: ClientConnection = await unix_connect(
                str(served.web), uri=f"ws://{HOST}/ws/events", origin=origin, additional_headers={"Cookie": cookie}
            )
        except InvalidStatus as error:
            return error.response.status_code
        await connection.close()
        return 0

    return asyncio.run(run())


def test_the_command_line_prints_logs(served: Served) -> None:
    done = served.run("logs", "shop/web-0", "--root", str(served.root))
    assert (done.returncode, done.stdout) == (0, b"one\ntwo\nthree\n"), done.stderr


def test_the_command_line_ends_with_the_commands_exit_code(served: Served) -> None:
    done = served.run("exec", "--root", str(served.root), "shop/web-0", "--", "fail")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"no\n")


def test_the_command_line_passes_on_what_is_piped_in(served: Served, tmp_path: Path) -> None:
    root = str(served.root)
    assert served.run("exec", "-i", "--root", root, "shop/web-0", "--", "cat", input=b"piped").stdout == b"piped"
    file = tmp_path / "input"
    file.write_bytes(b"x" * 100_000)
    with file.open("rb") as stdin:
        assert served.run("exec", "-i", "--root", root, "shop/web-0", "--", "cat", stdin=stdin).stdout == b"x" * 100_000


def test_the_command_line_shows_the_managers_error(served: Served) -> None:
    done = served.run("logs", "shop/nothing-0", "--root", str(served.root))
    assert done.returncode == 1 and b"There is no instance called shop/nothing-0." in done.stderr


def test_a_session_is_found_among_cookies() -> None:
    assert session_of("a=b; __Host-session=abc; c=d") == "abc"
    assert session_of("") == session_of("a=b") == ""


def test_an_exec_request_is_read_whole() -> None:
    request = parse_exec('{"instance": "shop/web-0", "command": ["sh", "-c", "x"], "rows": 10}')
    assert (request.command, request.rows, request.columns) == (("sh", "-c", "x"), 10, 80)
