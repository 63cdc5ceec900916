"""Both ends of the link over real TCP, in both dial modes."""

import asyncio
import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any, Literal

import pytest

from appliance.errors import LinkDown, NoSuchContainer
from appliance.link.agent_end import AgentLink
from appliance.link.manager_end import ManagerLink
from appliance.link.messages import ExecRequest, Hello, LogsRequest, Orders, Peers, Report
from appliance.model.cluster import REGISTRY_PORT
from appliance.model.instance import InstanceStatus
from appliance.model.node import Dial, NodeFacts
from appliance.security.ssh import issue_host_certificate, issue_user_certificate, make_ssh_key
from tests.lab.waiting import eventually

FACTS = NodeFacts(version="1", architecture="amd64", cpu=1000, memory=1, kernel="6", engine="docker", boot_id="b")
Stream = Literal["stdout", "stderr"]


class Echo:
    """A command that answers its input, and tells of resizes."""

    def __init__(self, request: ExecRequest) -> None:
        self.pieces: queue.Queue[tuple[Stream, bytes] | None] = queue.Queue()
        self.pieces.put(("stderr", " ".join(request.command).encode()))
        self.closed = threading.Event()

    def read(self) -> tuple[Stream, bytes] | None:
        return self.pieces.get()

    def write(self, data: bytes) -> None:
        self.pieces.put(("stdout", data))

    def close_input(self) -> None:
        self.pieces.put(None)

    def resize(self, rows: int, columns: int) -> None:
        self.pieces.put(("stdout", f"{rows}x{columns}".encode()))

    def exit_code(self) -> int:
        return 7

    def close(self) -> None:
        self.closed.set()
        self.pieces.put(None)


class Lines:
    """A log: `count` pieces of 64 KiB."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.given = 0

    def __iter__(self) -> Iterator[tuple[Stream, bytes]]:
        while self.given < self.count:
            self.given += 1
            yield "stdout", b"x" * 65536

    def close(self) -> None:
        self.count = 0


class Containers:
    def __init__(self) -> None:
        self.opened: list[Echo] = []
        self.logs: list[Lines] = []

    def open_exec(self, request: ExecRequest) -> Echo:
        if request.instance == "shop/none-0":
            raise NoSuchContainer("There is no container main.", where="shop/none-0")
        self.opened.append(Echo(request))
        return self.opened[-1]

    def open_logs(self, request: LogsRequest) -> Lines:
        self.logs.append(Lines(request.tail or 0))
        return self.logs[-1]


class World:
    """A manager and what it heard; nodes are added with `agent`."""

    def __init__(self, dial: Dial) -> None:
        self.dial = dial
        self.authority, self.authority_public = make_ssh_key()
        self.heard: list[tuple[str, Any]] = []
        self.containers = Containers()
        self.orders: list[Orders] = []
        self.peers: list[Peers] = []
        self.agents: list[AgentLink] = []
        self.manager = self.make_manager(self.authority)
        self.manager.start()

    def make_manager(self, authority: str, port: int = 0) -> ManagerLink:
        key, public = make_ssh_key()
        return ManagerLink(
            authority=self.authority_public,
            key=key,
            certificate=issue_user_certificate(authority, public, "manager-1"),
            address="127.0.0.1",
            port=port,
            on_hello=lambda node, message: self.heard.append((node, message)),
            on_report=lambda node, message: self.heard.append((node, message)),
            on_gone=lambda node: self.heard.append((node, "gone")),
            forward_registry=lambda node: node == "forwarded",
        )

    def agent(self, node: str = "node-1", *, says: str = "", authority: str = "", manager_port: int = 0) -> AgentLink:
        key, public = make_ssh_key()
        hello = Hello(node=says or node, facts=FACTS, vtep_mac="02:00:00:00:00:01", statuses=(), clock=0)
        agent = AgentLink(
            managers=[("127.0.0.1", manager_port or self.manager.port)],
            authority=self.authority_public,
            key=key,
            certificate=issue_host_certificate(authority or self.authority, public, node),
            hello=lambda: hello,
            on_orders=self.orders.append,
            on_peers=self.peers.append,
            channels=self.containers,
            dial=self.dial,
            listen=("127.0.0.1", 0),
        )
        agent.start()
        self.agents.append(agent)
        if self.dial == "manager":
            self.manager.set_dial_targets({node: ("127.0.0.1", agent.port)})
        return agent

    def connected_agent(self) -> AgentLink:
        agent = self.agent()
        eventually(lambda: self.manager.connected() == {"node-1"}, 10)
        return agent

    def run[T](self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.manager.loop)
        return future.result(timeout=10)

    def stop(self) -> None:
        for agent in self.agents:
            agent.stop()
        self.manager.stop()


@pytest.fixture(params=["agent", "manager"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.stop()


def status(instance: str, state: Any = "running") -> InstanceStatus:
    return InstanceStatus(instance=instance, node="node-1", state=state)


def test_a_node_says_hello_and_is_connected_under_the_name_in_its_certificate(world: World) -> None:
    agent = world.connected_agent()
    eventually(lambda: world.heard, 5)
    node, message = world.heard[0]
    assert node == "node-1" and isinstance(message, Hello) and message.facts == FACTS
    assert agent.state.manager == "manager-1"


def test_orders_and_peers_arrive_in_order(world: World) -> None:
    world.connected_agent()
    for number in range(50):
        world.manager.send("node-1", Orders(full=False, forget=(str(number),)))
    world.manager.send("node-1", Peers(peers=(), names={"shop/web-0": "10.42.1.2"}))
    eventually(lambda: world.peers, 5)
    assert [order.forget for order in world.orders] == [(str(number),) for number in range(50)]


def test_a_message_for_a_node_that_is_not_there_is_dropped(world: World) -> None:
    world.manager.send("nobody", Orders(full=True))
    assert world.manager.connected() == set()


def test_reports_arrive(world: World) -> None:
    agent = world.connected_agent()
    eventually(lambda: agent.state.manager, 5)
    agent.report((status("shop/web-0"), status("shop/web-1")))

    def reported() -> set[str]:
        return {s.instance for _, m in world.heard if isinstance(m, Report) for s in m.statuses}

    eventually(lambda: reported() == {"shop/web-0", "shop/web-1"}, 5)


def test_orders_of_some_megabytes_arrive(world: World) -> None:
    world.connected_agent()
    names = tuple(f"shop/web-{number}" + "x" * 100 for number in range(30_000))
    world.manager.send("node-1", Orders(full=True, forget=names))
    eventually(lambda: world.orders, 10)
    assert world.orders[0].forget == names


def test_a_command_gets_its_input_its_sizes_and_gives_its_output_and_exit_code(world: World) -> None:
    world.connected_agent()

    async def talk() -> tuple[list[tuple[str, bytes]], int]:
        channel = await world.manager.open_channel("node-1", ExecRequest(instance="shop/web-0", command=("cat", "-u")))
        said = [await channel.read()]
        await channel.write(b"hello")
        said.append(await channel.read())
        channel.resize(50, 120)
        said.append(await channel.read())
        await channel.close_input()
        assert await channel.read() is None
        return [piece for piece in said if piece], channel.exit_code()

    assert world.run(talk()) == ([("stderr", b"cat -u"), ("stdout", b"hello"), ("stdout", b"50x120")], 7)


def test_closing_a_channel_ends_the_command(world: World) -> None:
    world.connected_agent()

    async def leave() -> None:
        channel = await world.manager.open_channel("node-1", ExecRequest(instance="shop/web-0", command=("sh",)))
        await channel.read()
        channel.close()

    world.run(leave())
    assert world.containers.opened[0].closed.wait(5)


def test_what_the_node_refuses_is_raised_as_it_was(world: World) -> None:
    world.connected_agent()

    async def fail() -> None:
        channel = await world.manager.open_channel("node-1", ExecRequest(instance="shop/none-0", command=("sh",)))
        await channel.read()

    with pytest.raises(NoSuchContainer) as caught:
        world.run(fail())
    assert caught.value.where == "shop/none-0"


def test_logs_arrive_whole_and_wait_for_a_slow_reader(world: World) -> None:
    world.connected_agent()

    async def read() -> int:
        channel = await world.manager.open_channel("node-1", LogsRequest(instance="shop/web-0", tail=800))
        first = await channel.read()
        assert first
        stalled, given = False, -1
        while not stalled:
            await asyncio.sleep(0.3)
            stalled, given = given == world.containers.logs[0].given, world.containers.logs[0].given
        assert given < 800, "50 MB were read ahead of a reader that does not read"
        size = len(first[1])
        while (piece := await channel.read()) is not None:
            size += len(piece[1])
        return size

    assert world.run(read()) == 800 * 65536


def test_a_channel_to_a_node_that_is_not_connected_is_refused(world: World) -> None:
    with pytest.raises(LinkDown):
        world.run(world.manager.open_channel("nobody", LogsRequest(instance="shop/web-0")))


def test_a_node_with_a_certificate_of_another_cluster_is_not_let_in(world: World) -> None:
    other, _ = make_ssh_key()
    world.agent("node-9", authority=other)
    world.agents[-1].report((status("shop/web-0"),))
    with pytest.raises(TimeoutError):
        eventually(world.manager.connected, 1.5)


def test_a_node_that_says_another_name_is_not_let_in(world: World) -> None:
    world.agent("node-1", says="node-2")
    with pytest.raises(TimeoutError):
        eventually(world.manager.connected, 1.5)
    assert not world.heard


def test_an_agent_lets_no_manager_of_another_cluster_in() -> None:
    world = World("agent")
    other, _ = make_ssh_key()
    foreign = world.make_manager(other)
    foreign.start()
    agent = world.agent(manager_port=foreign.port)
    with pytest.raises(TimeoutError):
        eventually(lambda: foreign.connected() or agent.state.manager, 1.5)
    foreign.stop()
    world.stop()


def test_a_node_that_stops_is_reported_gone(world: World) -> None:
    agent = world.connected_agent()
    agent.stop()
    eventually(lambda: ("node-1", "gone") in world.heard, 5)
    assert world.manager.connected() == set()


def test_a_newer_link_of_a_node_replaces_the_older_without_it_being_gone() -> None:
    world = World("agent")
    first = world.connected_agent()
    first_since = world.heard[:]
    world.agent("node-1")
    eventually(lambda: len([m for _, m in world.heard if isinstance(m, Hello)]) > len(first_since), 5)
    first.stop()
    eventually(lambda: world.manager.connected() == {"node-1"}, 10)
    world.stop()


def test_an_agent_comes_back_to_a_manager_that_was_away() -> None:
    world = World("agent")
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    agent = world.agent(manager_port=port)
    agent.report((status("shop/web-0", "starting"),))
    for _ in range(2):
        manager = world.make_manager(world.authority, port)
        manager.start()
        eventually(lambda manager=manager: manager.connected() == {"node-1"}, 10)  # type: ignore[misc]
        manager.stop()
        eventually(lambda: agent.state.manager == "", 5)
    world.stop()


def test_a_registry_port_in_use_on_the_node_does_not_harm_the_link(world: World) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # in use as well when somebody else has it
            stack.enter_context(closing(socket.create_server(("127.0.0.1", REGISTRY_PORT))))
        world.agent("forwarded")
        eventually(world.manager.connected, 10)
        world.manager.send("forwarded", Orders(full=True))
        eventually(lambda: world.orders, 5)
        agent = world.agents[-1]
        agent.report((status("shop/web-0"),))
        eventually(lambda: any(isinstance(message, Report) for _, message in world.heard), 5)
    assert ("forwarded", "gone") not in world.heard
