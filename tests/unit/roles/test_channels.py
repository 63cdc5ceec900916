"""What a manager can reach on a node: its instances, and nothing else that runs there."""

from pathlib import Path

import msgspec
import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.engine.container import container_name
from appliance.engine.engine import ContainerSettings
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.engine.fake_program import PROGRAMS, Process
from appliance.errors import NotFound
from appliance.link.messages import ExecRequest, LogsRequest
from appliance.model.container import Container
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.service import Hook, Hooks
from appliance.roles.channels import NodeChannels

ROOT = "0123456789ab"


def who(process: Process) -> None:
    process.print(f"{process.settings.name} {process.size}")


def greet(process: Process) -> None:
    process.print(f"hello from {process.settings.name.rpartition('.')[2]}")
    process.wait(3600)


@pytest.fixture
def channels(tmp_path: Path) -> NodeChannels:
    """The instance shop/web-1 with containers main and log and a hook, and beside it somebody else's container."""
    book = AssignmentBook(tmp_path)
    containers = tuple(PlannedContainer(name=name, spec=Container(image="a:1")) for name in ("main", "log"))
    hooks = Hooks(pre=(Hook(run=("greet",)),), after_start=(Hook(run=("who",)),))
    wanted = Assignment(instance="shop/web-1", service="shop", deploy="web", index=1, revision=1, containers=containers)
    book.put(msgspec.structs.replace(wanted, hooks=hooks))
    engine = FakeEngine({"a:1": Image("sha256:1")}, {**PROGRAMS, "who": who, "greet": greet})
    names = [*(container_name(ROOT, "shop/web-1", name) for name in ("main", "log", "pre.0")), "foreign"]
    for name in names:
        engine.create(ContainerSettings(name=name, image="a:1", labels={}, command=("greet",)))
        engine.start(name)
        assert next(iter(engine.logs(name, follow=True, tail=None)))  # it runs
    return NodeChannels(engine, book, ROOT)


@pytest.mark.parametrize(("container", "reached"), [("", "main"), ("main", "main"), ("log", "log")])
def test_a_command_runs_in_the_container_named_or_the_first(
    channels: NodeChannels, container: str, reached: str
) -> None:
    session = channels.open_exec(ExecRequest(instance="shop/web-1", container=container, command=("who",)))
    assert session.read() == ("stdout", f"appliance.{ROOT}.shop.web-1.{reached} None\n".encode())


def test_logs_are_those_of_the_instance(channels: NodeChannels) -> None:
    assert list(channels.open_logs(LogsRequest(instance="shop/web-1"))) == [("stdout", b"hello from main\n")]
    assert list(channels.open_logs(LogsRequest(instance="shop/web-1", container="log", tail=0))) == []
    assert list(channels.open_logs(LogsRequest(instance="shop/web-1", container="pre.0"))) != [], "a hook has one too"


@pytest.mark.parametrize("instance", ["shop/web-2", "web-1", "", "../shop/web-1", "shop/web-1/main", "foreign"])
def test_what_is_no_instance_of_this_node_is_not_found(channels: NodeChannels, instance: str) -> None:
    with pytest.raises(NotFound) as refused:
        channels.open_exec(ExecRequest(instance=instance, command=("who",)))
    assert "is not on this node" in refused.value.what
    with pytest.raises(NotFound):
        channels.open_logs(LogsRequest(instance=instance))


def test_an_unknown_container_is_not_found_and_the_known_ones_are_named(channels: NodeChannels) -> None:
    with pytest.raises(NotFound) as refused:
        channels.open_exec(ExecRequest(instance="shop/web-1", container="db", command=("who",)))
    assert refused.value.why == "it has main, log, pre.0" and "-c" in refused.value.next
    with pytest.raises(NotFound):
        channels.open_logs(LogsRequest(instance="shop/web-1", container="../foreign"))
