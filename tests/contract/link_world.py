"""A manager's end and agents' ends of the link with real keys and sockets, for tests."""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from appliance.errors import NoSuchContainer, Refused
from appliance.link.admission import why_no_node
from appliance.link.agent_end import AgentLink
from appliance.link.door import NodeKeys
from appliance.link.fence import Fence
from appliance.link.manager_end import ManagerLink
from appliance.link.messages import (
    ExecRequest,
    Heartbeat,
    Hello,
    LogsRequest,
    Orders,
    Peers,
    Picture,
    ProbeRequest,
)
from appliance.model.measurement import Measurement
from appliance.model.node import Dial, NodeFacts, NodeSpec
from appliance.model.skew import Skew
from appliance.model.stamp import Stamp
from appliance.security.ssh import LinkCertificate, issue_host_certificate, issue_user_certificate, make_ssh_key
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

    def measure(self, request: ProbeRequest) -> tuple[Measurement, ...]:
        return tuple(Measurement(node=peer.node, host=True, overlay=False, wanted=1450) for peer in request.peers)


@dataclass(frozen=True)
class Place:
    """Where an end lives: the network namespace of that name ("" : the test's own) and its address there."""

    address: str = "127.0.0.1"
    namespace: str = ""

    def start(self, end: AgentLink | ManagerLink) -> None:
        """Start it in a thread that has entered the namespace; the threads of the end inherit it."""
        with ThreadPoolExecutor(1, initializer=self._enter) as threads:
            threads.submit(end.start).result()

    def _enter(self) -> None:
        if self.namespace:
            with open(f"/run/netns/{self.namespace}") as file:
                os.setns(file.fileno(), os.CLONE_NEWNET)


@dataclass
class Copy:
    """How it stands with a manager's copy of the store."""

    fresh: bool = True
    stamp: Stamp = field(default_factory=Stamp)


class World:
    """Managers and what they heard; nodes are added with `agent`, their clocks `ahead` seconds of the managers'.

    `manager` is the first; further ones are made with `make_manager`, and linked to where `agent` is told of them.
    """

    def __init__(self, dial: Dial, *, manager_at: Place = Place(), nodes_at: Place = Place()) -> None:
        self.dial = dial
        self.manager_at, self.nodes_at = manager_at, nodes_at
        self.authority, authority_public = make_ssh_key()
        self.authority_line = authority_public.strip()
        self.revoked: set[str] = set()
        self.refusals: dict[str, Refused] = {}
        self.heard: list[tuple[str, Any]] = []
        self.containers = Containers()
        self.orders: list[Orders] = []
        self.beats: list[Heartbeat] = []
        self.skews: list[Skew] = []
        self.ahead = 0.0
        self.peers: list[Peers] = []
        self.agents: list[AgentLink] = []
        self.copies: dict[str, Copy] = {}
        self.manager = self.make_manager(self.authority)
        manager_at.start(self.manager)

    def make_manager(self, authority: str, port: int = 0, name: str = "manager-1") -> ManagerLink:
        key, self.manager_key = make_ssh_key()
        copy = self.copies[name] = Copy()
        return ManagerLink(
            key=key,
            certificates=(issue_user_certificate(authority, self.manager_key, name, time.time()),),
            why_not=self.why_not,
            refuse=lambda hello: self.refusals.get(hello.node),
            on_refused=lambda node, refused: self.heard.append((node, refused)),
            address=self.manager_at.address,
            port=port,
            on_hello=lambda node, message: self.heard.append((node, message)),
            on_report=lambda node, message: self.heard.append((node, message)),
            on_gone=lambda node: self.heard.append((node, "gone")),
            on_left=lambda node: self.heard.append((node, f"left {name}")),
            reached=lambda stamp: copy.stamp >= stamp,
            fresh=lambda: copy.fresh,
            on_heartbeat=lambda node, message: self.beats.append(message),
            forward_registry=lambda node: node == "forwarded",
        )

    def why_not(self, certificate: LinkCertificate) -> str:
        """Every node that shows a certificate of the authority is known, and joined with the key that it has."""
        name = certificate.name
        node = NodeSpec(id=name, name=name, number=1, address="192.0.2.1", ssh_key=certificate.key)
        return why_no_node(certificate, (self.authority_line,), node, self.revoked, time.time())

    def host_certificate(self, public: str, node: str, authority: str = "") -> str:
        return issue_host_certificate(authority or self.authority, public, node, time.time())

    def agent(
        self, node: str = "node-1", *, says: str = "", authority: str = "", managers: Iterable[ManagerLink] = ()
    ) -> AgentLink:
        key, public = make_ssh_key()
        linked = list(managers) or [self.manager]
        hello = Hello(node=says or node, facts=FACTS, vtep_mac="02:00:00:00:00:01", statuses=(), clock=0)
        agent = AgentLink(
            managers=[self.address(manager) for manager in linked],
            keys=NodeKeys((self.authority_line,), key, self.host_certificate(public, node, authority)),
            hello=lambda: hello,
            on_message=self._received,
            channels=self.containers,
            fence=Fence(Path("/nowhere/fence.json"), "c"),
            dial=self.dial,
            listen=(self.nodes_at.address, 0),
            on_skew=self.skews.append,
            clock=lambda: time.time() + self.ahead,
        )
        self.nodes_at.start(agent)
        self.agents.append(agent)
        if self.dial == "manager":
            for manager in linked:
                manager.set_dial_targets({node: (self.nodes_at.address, agent.port)})
        return agent

    def address(self, manager: ManagerLink) -> tuple[str, int]:
        return self.manager_at.address, manager.port

    def _received(self, message: Picture) -> None:
        match message:
            case Orders():
                self.orders.append(message)
            case Peers():
                self.peers.append(message)

    def connected_agent(self) -> AgentLink:
        agent = self.agent()
        eventually(lambda: self.manager.connected() == {"node-1"}, 30)
        return agent

    def run[T](self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.manager.loop)
        return future.result(timeout=10)

    def stop(self) -> None:
        for agent in self.agents:
            agent.stop()
        self.manager.stop()
