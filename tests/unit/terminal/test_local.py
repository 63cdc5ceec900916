"""The agent's own socket, asked by the command line as it is."""

import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.engine.engine import ContainerSettings, ExecSession, LogStream
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.engine.fake_program import PROGRAMS, Process
from appliance.errors import NotFound
from appliance.link.messages import ExecRequest, LogsRequest
from appliance.model.wish import Action, Known, LocalWish
from appliance.terminal.frames import packed
from appliance.terminal.local import LocalSocket, Wire
from tests.lab.waiting import eventually

ROW = {"instance": "shop/web-1", "service": "shop", "node": "n2", "state": "stopped", "ready": False, "ip": ""}
ROW |= {"restarts": 0, "restart": 0, "revision": 1, "message": ""}


def echo(process: Process) -> int:
    """Gives back what it is given, with the size of its terminal, then one line of errors."""
    while line := process.read_line():
        process.print(f"{line.strip()} {process.size}")
    process.print("no more", "stderr")
    return 7


class Node:
    """One instance, `shop/web-1`, on the fake engine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "run/appliance/agent.sock"
        self.wished: list[tuple[str, str, str]] = []
        self.damaged: list[str] = []
        self._engine = FakeEngine({"a:1": Image("sha256:1")}, {**PROGRAMS, "echo": echo})
        self._engine.create(ContainerSettings(name="web", image="a:1", labels={}, command=("sleep", "100")))
        self._engine.start("web")
        self.socket = LocalSocket(self.path, self, self._state, self._wish)

    def open_exec(self, request: ExecRequest) -> ExecSession:
        if request.instance != "shop/web-1":
            raise NotFound(f"{request.instance} is not on this node.", next="see: appliance ps")
        return self._engine.open_exec("web", request.command, terminal=request.terminal)

    def open_logs(self, request: LogsRequest) -> LogStream:
        return self._engine.logs("web", follow=request.follow, tail=request.tail)

    def _state(self) -> dict[str, Any]:
        return {"name": "n2", "manager": "", "damaged": self.damaged, "instances": [ROW, ROW | {"service": "system"}]}

    def _wish(self, instance: str, action: Action, who: str) -> LocalWish:
        self.wished.append((instance, action, who))
        known = Known(desired="running", restart=0, generation=0)
        return LocalWish(
            instance=instance, number=1, action=action, at="", who=who, desired="stopped", restart=0, known=known
        )

    def threads(self) -> list[str]:
        """Those that work on a request."""
        return [each.name for each in threading.enumerate() if each.name in ("local", "local input")]

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "appliance", *arguments, "--root", str(self.root)]
        if arguments[0] == "exec":
            command = [*command[:3], "exec", "--root", str(self.root), *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)

    @contextmanager
    def talking(self, request: dict[str, Any]) -> Iterator[Wire]:
        """A conversation after the node has said who it is."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.path))
            wire = Wire(connection)
            wire.send(json.dumps(request))
            assert json.loads(str(wire.receive())) == {"node": "n2", "manager": ""}
            yield wire


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    node.socket.start()
    yield node
    node.socket.stop()
    assert not node.path.exists()


def test_nobody_but_root_may_connect(node: Node) -> None:
    assert stat.S_IMODE(node.path.stat().st_mode) == 0o600


def test_where_no_manager_listens_the_node_lists_its_instances_and_says_so(node: Node) -> None:
    result = node.run("ps", "-o", "json")
    assert json.loads(result.stdout) == [ROW]
    assert result.stderr == "node n2 answers by itself: no manager reachable\n"


def test_an_instance_whose_assignment_is_damaged_is_named(node: Node) -> None:
    node.damaged.append("shop/db-0")
    assert "shop/db-0: its assignment is damaged" in node.run("ps").stderr


def test_a_stop_is_taken_by_the_node_in_the_name_of_who_asked(node: Node) -> None:
    result = node.run("stop", "shop/web-1", "--wait", env={"SUDO_USER": "li", "PYTHONPATH": ":".join(sys.path)})
    assert result.returncode == 0, result.stderr
    assert node.wished == [("shop/web-1", "stop", "li")]


def test_a_service_as_a_whole_is_no_matter_of_a_node(node: Node) -> None:
    assert node.run("stop", "shop", "--here").returncode == 2


def test_a_command_has_input_both_outputs_and_its_own_exit_code(node: Node) -> None:
    result = node.run("exec", "-i", "shop/web-1", "--", "echo", input="one\ntwo\n")
    assert (result.stdout, result.returncode) == ("one None\ntwo None\n", 7)
    assert result.stderr.splitlines()[1:] == ["no more"]


def test_a_terminal_follows_the_size_of_its_window(node: Node) -> None:
    with node.talking({"type": "exec", "instance": "shop/web-1", "command": ["echo"], "terminal": True}) as wire:
        wire.send(json.dumps({"rows": 50, "columns": 132}))
        wire.send(b"\x00typed\n")
        assert wire.receive() == b"\x01typed (50, 132)\n"
        wire.send(json.dumps({"eof": True}))
        assert wire.receive() == b"\x01no more\n"
        assert json.loads(str(wire.receive())) == {"exit": 7}


def test_what_is_not_on_the_node_is_refused_as_anywhere(node: Node) -> None:
    result = node.run("exec", "shop/db-0", "--", "true")
    assert result.returncode == 1
    assert "shop/db-0 is not on this node." in result.stderr and "next: see: appliance ps" in result.stderr


def test_a_followed_log_ends_with_its_reader(node: Node) -> None:
    with node.talking({"type": "logs", "instance": "shop/web-1", "follow": True}):
        eventually(lambda: len(node.threads()) == 2, 10)
    eventually(lambda: not node.threads(), 10)


@pytest.mark.parametrize("request_", ["{}", "[]", "no JSON", '{"type": "probe", "peers": []}'])
def test_what_is_no_request_is_an_error(node: Node, request_: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(node.path))
        wire = Wire(connection)
        wire.send(request_)
        assert json.loads(str(wire.receive()))["error"]["kind"] == "UsageError"
        assert wire.receive() is None


def test_a_frame_that_is_too_long_ends_the_conversation(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(node.path))
        connection.sendall(b"t\xff\xff\xff\xff" + packed("more"))
        assert "error" in json.loads(str(Wire(connection).receive()))
