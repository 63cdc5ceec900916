"""The supervisor on a real engine: what is wanted comes to run, keeps running, and goes when it is to go."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.agent.images import EngineImages
from appliance.agent.reporter import Reporter
from appliance.agent.supervisor import Supervisor
from appliance.agent.volumes import Volumes
from appliance.engine.container import ROOT_LABEL, NodePlaces, container_name
from appliance.engine.docker import DockerEngine
from appliance.engine.engine import ContainerState
from appliance.model.instance import Assignment, InstanceStatus, PlannedContainer
from appliance.model.service import Container, Health, Probe, Volume
from tests.lab import waiting

ROOT = "unit-agent"


def eventually(check: Callable[[], bool]) -> None:
    waiting.eventually(check, 20.0, every=0.01)


class NoBundle:
    """A package without images."""

    def image_id(self, name: str) -> str:
        pytest.fail(f"asked for {name}")

    def load(self, name: str) -> None:
        pytest.fail(f"asked for {name}")


class Node:
    """A node's agent without the link."""

    def __init__(self, socket: Path, folder: Path) -> None:
        self.engine = DockerEngine(socket)
        self.folder = folder
        self.reported: dict[str, InstanceStatus] = {}

    @contextmanager
    def supervised(self) -> Iterator[AssignmentBook]:
        book = AssignmentBook(self.folder / "assignments")
        reporter = Reporter(lambda statuses: self.reported.update({s.instance: s for s in statuses}))
        supervisor = Supervisor(
            self.engine,
            book,
            EngineImages(self.engine, NoBundle()),
            reporter,
            Volumes(self.folder / "volumes"),
            NodePlaces(ROOT, "appliance", str(self.folder / "volumes"), str(self.folder / "hosts")),
            "n1",
        )
        reporter.start()
        supervisor.start()
        try:
            yield book
        finally:
            supervisor.stop()
            reporter.stop()

    def state(self, instance: str) -> str:
        return self.reported[instance].state if instance in self.reported else ""

    def container(self, instance: str) -> ContainerState | None:
        return self.engine.inspect(container_name(ROOT, instance, "main"))


@pytest.fixture
def node(docker_socket: Path, tmp_path: Path) -> Iterator[Node]:
    made = Node(docker_socket, tmp_path)
    yield made
    for container in made.engine.list({ROOT_LABEL: ROOT}):
        made.engine.remove(container.name)


def _assignment(command: tuple[str, ...] = ("sleep", "1000"), health: Health | None = None) -> Assignment:
    spec = Container(image="busybox:lab", command=command, volumes={"data": "/data"}, health=health or Health())
    return Assignment(
        instance="shop/web-1",
        service="shop",
        deploy="web",
        index=1,
        revision=1,
        host_network=True,
        containers=(PlannedContainer(name="main", spec=spec),),
        volumes={"data": Volume()},
        stop_grace=0.0,
    )


def _runs(node: Node) -> bool:
    container = node.container("shop/web-1")
    return container is not None and container.state == "running" and node.state("shop/web-1") == "running"


def test_an_instance_runs_then_stops_then_goes_with_its_volume(node: Node) -> None:
    wanted = _assignment()
    with node.supervised() as book:
        book.put(wanted)
        eventually(lambda: _runs(node))
        assert (node.folder / "volumes/shop/web-1/data").is_dir()
        book.put(msgspec.structs.replace(wanted, desired="stopped"))
        eventually(lambda: node.state("shop/web-1") == "stopped")
        assert node.container("shop/web-1") is not None
        book.put(msgspec.structs.replace(wanted, desired="removed"))
        eventually(lambda: node.state("shop/web-1") == "removed")
        assert node.container("shop/web-1") is None
        assert not (node.folder / "volumes/shop/web-1").exists()


def test_a_killed_container_runs_again_at_once(node: Node) -> None:
    with node.supervised() as book:
        book.put(_assignment())
        eventually(lambda: _runs(node))
        before = node.container("shop/web-1")
        assert before is not None
        began = time.monotonic()
        node.engine.stop(before.name, 0)
        eventually(lambda: (now := node.container("shop/web-1")) is not None and now.pid not in (0, before.pid))
        print(f"running again after {time.monotonic() - began:.3f} s")
        after = node.container("shop/web-1")
        assert after is not None and after.id == before.id
        eventually(lambda: node.reported["shop/web-1"].restarts == 1)


def test_neither_a_new_supervisor_nor_a_new_revision_touches_what_is_right(node: Node) -> None:
    with node.supervised() as book:
        book.put(_assignment())
        eventually(lambda: _runs(node))
    before = node.container("shop/web-1")
    node.reported.clear()
    with node.supervised() as book:
        eventually(lambda: _runs(node))
        book.put(msgspec.structs.replace(_assignment(), revision=2))
        eventually(lambda: node.reported["shop/web-1"].revision == 2)
        assert node.container("shop/web-1") == before


def test_a_new_command_or_a_wished_restart_makes_the_container_anew(node: Node) -> None:
    with node.supervised() as book:
        book.put(_assignment())
        eventually(lambda: _runs(node))
        first = node.container("shop/web-1")
        book.put(_assignment(("sleep", "2000")))
        eventually(lambda: _runs(node) and node.container("shop/web-1").id != first.id)  # type: ignore[union-attr]
        second = node.container("shop/web-1")
        book.put(msgspec.structs.replace(_assignment(("sleep", "2000")), restart=1))
        eventually(lambda: _runs(node) and node.container("shop/web-1").id != second.id)  # type: ignore[union-attr]


def test_a_container_that_keeps_ending_is_backed_off_and_says_why(node: Node) -> None:
    with node.supervised() as book:
        book.put(_assignment(("sh", "-c", "exit 3")))
        eventually(lambda: node.state("shop/web-1") == "backoff")
        assert "ended with code 3" in node.reported["shop/web-1"].message


def test_an_instance_is_ready_once_its_probe_passes(node: Node) -> None:
    probe = Probe(exec=("test", "-e", "/data/ready"), every=0.2)
    with node.supervised() as book:
        book.put(_assignment(health=Health(ready=probe)))
        eventually(lambda: _runs(node))
        assert not node.reported["shop/web-1"].ready
        (node.folder / "volumes/shop/web-1/data/ready").touch()
        eventually(lambda: node.reported["shop/web-1"].ready)


def test_leftovers_go_only_after_full_orders(node: Node) -> None:
    with node.supervised() as book:
        book.put(_assignment())
        eventually(lambda: _runs(node))
    (node.folder / "assignments/shop/web-1.json").write_text("{damaged")
    node.reported.clear()
    with node.supervised() as book:
        assert book.damaged == {"shop/web-1"}
        assert node.container("shop/web-1") is not None
        book.apply(full=True, assignments=())
        eventually(lambda: node.container("shop/web-1") is None)


def test_a_container_whose_live_probe_fails_is_started_again(node: Node) -> None:
    probe = Probe(exec=("test", "!", "-e", "/data/sick"), every=0.2, failures=2)
    sick = node.folder / "volumes/shop/web-1/data/sick"
    with node.supervised() as book:
        book.put(_assignment(health=Health(live=probe)))
        eventually(lambda: _runs(node))
        first = node.container("shop/web-1")
        sick.touch()
        eventually(lambda: node.container("shop/web-1").started_at != first.started_at)  # type: ignore[union-attr]
        sick.unlink()
        eventually(lambda: _runs(node) and node.reported["shop/web-1"].restarts >= 1)


def test_many_instances_end_side_by_side(node: Node) -> None:
    """Each takes all of its grace, since `sleep` as the first process does not hear SIGTERM."""
    many = [
        msgspec.structs.replace(_assignment(), instance=f"shop/web-{n}", index=n, stop_grace=3.0) for n in range(1, 11)
    ]
    with node.supervised() as book:
        book.apply(full=True, assignments=many)
        eventually(lambda: all(node.state(a.instance) == "running" for a in many))
        began = time.monotonic()
        book.apply(full=True, assignments=())
        eventually(lambda: all(node.state(a.instance) == "removed" for a in many))
        assert time.monotonic() - began < 15.0
        print(f"10 removed in {time.monotonic() - began:.1f} s")
