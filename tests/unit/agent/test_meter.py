"""What a node measures, from files as the kernel writes them and instances that serve a number."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.agent.meter import Meter
from appliance.engine.engine import ContainerSettings
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.model.instance import Assignment, ContainerStatus, InstanceStatus
from appliance.model.service import Metric
from tests.unit.agent.node import alone


class Machine:
    """A node with one running container, whose control group is a folder here."""

    def __init__(self, folder: Path) -> None:
        self.seconds = 0.0
        self.proc, self.group = folder / "proc", folder / "cgroup/c"
        self.group.mkdir(parents=True)
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self/mountinfo").write_text(f"30 23 0:26 / {folder}/cgroup rw - cgroup2 cgroup2 rw\n")
        self.engine = FakeEngine({"a": Image("sha256:a")})
        self.engine.create(ContainerSettings(name="c", image="a", labels={}, command=("sleep", "1000")))
        self.engine.start("c")
        self.book = AssignmentBook(folder / "assignments")
        seen = self.engine.inspect("c")
        assert seen is not None
        (self.proc / str(seen.pid)).mkdir()
        (self.proc / str(seen.pid) / "cgroup").write_text("0::/c\n")
        container = ContainerStatus(name="main", id=seen.id, image="a", state="running")
        self.status = InstanceStatus(
            instance="shop/web-1", node="n1", state="running", ready=True, containers=(container,)
        )
        self.meter = Meter(self.engine, self.book, lambda: (self.status,), lambda: self.seconds, self.proc)
        self.meter._mounted = {"": folder / "cgroup"}

    def measure(self, *, at: float, node_ticks: int, usec: int, memory: int) -> None:
        self.seconds = at
        (self.proc / "stat").write_text(f"cpu  {node_ticks} 0 0 9000 7 0 0 0 0 0\ncpu0 1\n")
        (self.group / "cpu.stat").write_text(f"usage_usec {usec}\n")
        (self.group / "memory.current").write_text(f"{memory}\n")
        (self.group / "memory.stat").write_text("inactive_file 0\n")
        self.meter.measure()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_said_before_the_second_measurement(machine: Machine) -> None:
    machine.measure(at=0, node_ticks=0, usec=0, memory=100)
    assert machine.meter.newest() is None


def test_use_is_the_difference_over_the_time_between(machine: Machine) -> None:
    machine.measure(at=0, node_ticks=100, usec=1_000_000, memory=100)
    machine.measure(at=10, node_ticks=1100, usec=6_000_000, memory=4096)
    usage = machine.meter.newest()
    assert usage is not None
    assert usage.cpu == 1000
    assert [(one.instance, one.cpu, one.memory) for one in usage.instances] == [("shop/web-1", 500, 4096)]


def test_an_instance_whose_container_is_gone_is_left_out(machine: Machine) -> None:
    machine.measure(at=0, node_ticks=0, usec=0, memory=1)
    for file in machine.group.iterdir():
        file.unlink()
    machine.engine.remove("c")
    machine.group.rmdir()
    machine.seconds = 10
    machine.meter.measure()
    usage = machine.meter.newest()
    assert usage is not None
    assert usage.instances == ()


@pytest.fixture
def served() -> Iterator[int]:
    """The port of an instance that serves its metrics on loopback."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(b'queue_length{queue="mail"} 7\n')

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()


def with_metric(query: str, port: int, path: str = "/metrics") -> Assignment:

    return msgspec.structs.replace(alone(), metric=Metric(query=query, target=10, port=port, path=path))


@pytest.mark.parametrize(
    ("query", "path", "value"),
    [("queue_length", "/metrics", 7.0), ("other", "/metrics", None), ("queue_length", "/", None)],
)
def test_the_number_that_an_instance_serves_is_read(
    machine: Machine, served: int, query: str, path: str, value: float | None
) -> None:
    machine.book.put(with_metric(query, served, path))
    machine.measure(at=0, node_ticks=0, usec=0, memory=1)
    machine.measure(at=10, node_ticks=0, usec=0, memory=1)
    usage = machine.meter.newest()
    assert usage is not None
    assert usage.instances[0].metric == value
