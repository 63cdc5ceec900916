"""The manager's end of the links. Whoever dialled, it is the SSH client: it opens sessions on the node.

Everything runs on one asyncio loop in a thread of its own, `loop`, which the WebSockets share.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import asyncssh
import msgspec
from asyncssh.connection import SSHConnection

from appliance.errors import LinkDown, Refused
from appliance.link.dialling import PATIENCE, keep_dialling
from appliance.link.manager_connection import (
    Channel,
    ManagerConnection,
    client_options,
    forward_registry,
    open_session,
)
from appliance.link.messages import (
    Believes,
    ChannelRequest,
    DiaryPage,
    DiaryTaken,
    Echo,
    FromAgent,
    Heartbeat,
    Held,
    Hello,
    Picture,
    Report,
    TurnedAway,
    Wishes,
)
from appliance.link.seldom import Seldom
from appliance.link.session import (
    CONTROL,
    SILENCE,
    Messages,
    Stream,
    end_on_failure,
)
from appliance.model.cluster import REGISTRY_PORT
from appliance.model.instance import InstanceStatus
from appliance.model.stamp import Stamp
from appliance.security.ssh import LinkCertificate

log = logging.getLogger(__name__)

CATCHING_UP = 0.1
"""Seconds between two looks whether the copy of the store is as new as what a node has seen."""
LONGEST_QUEUE = 1000
"""Messages that wait for a node before its link is ended; it gets everything anew when it is back."""


class _Node:
    """The live link of one node. `following`: all that is done for it while it follows this manager, None while it does
    not; `early`: what it reported last of each instance before the copy of the store was as new as what it has seen."""

    def __init__(self, connection: ManagerConnection) -> None:
        self.connection = connection
        self.queue: asyncio.Queue[Picture | Echo | DiaryTaken] = asyncio.Queue(LONGEST_QUEUE)
        self.following: asyncio.Task[None] | None = None
        self.greeted = False
        self.seen = Stamp()
        self.early: dict[str, InstanceStatus] = {}


class ManagerLink:
    """A component. Callbacks are called on `loop` and must be quick.

    After `on_hello` the node follows this manager and expects everything; after `on_left` it no longer does, and after
    `on_gone` its link has ended. `reached` says whether the copy of the store is as new as a stamp: as long as it is
    not, a node that has seen that much is told nothing. `fresh`: whether the copy is what the store holds now. A link
    that replaces an older one of the same node is preceded by the older's `on_gone`.

    `key` and `certificates` are the manager's, as text in OpenSSH's form; a node is shown one after the other until it
    takes one. `why_not` says why the holder of a host certificate is no node of this cluster, "" where it is one; that
    the certificate is of the right kind and carries its signature is known. `address` "" listens nowhere.
    `forward_registry` says whether a node gets this manager's registry on its loopback. `refuse`: why this manager does
    not work with a node that is one of the cluster; such a node is not connected, and `on_refused` is told.
    """

    name = "link"

    def __init__(
        self,
        *,
        key: str,
        certificates: tuple[str, ...],
        why_not: Callable[[LinkCertificate], str],
        address: str,
        port: int,
        on_hello: Callable[[str, Hello], None],
        on_report: Callable[[str, Report], None],
        on_gone: Callable[[str], None],
        on_left: Callable[[str], None] = lambda node_id: None,
        refuse: Callable[[Hello], Refused | None] = lambda hello: None,
        on_refused: Callable[[str, Refused], None] = lambda node_id, refused: None,
        reached: Callable[[Stamp], bool] = lambda stamp: True,
        fresh: Callable[[], bool] = lambda: True,
        on_heartbeat: Callable[[str, Heartbeat], None] | None = None,
        on_held: Callable[[str, Held], None] | None = None,
        on_wishes: Callable[[str, Wishes], None] | None = None,
        on_diary: Callable[[str, DiaryPage], None] | None = None,
        on_believes: Callable[[str, Believes], None] | None = None,
        forward_registry: Callable[[str], bool] = lambda node_id: True,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self._why_not = why_not
        self._options = client_options(key, certificates)
        self._listen_at = (address, port)
        self._on_hello = on_hello
        self._on_report = on_report
        self._on_gone = on_gone
        self._on_left = on_left
        self._refuse = refuse
        self._on_refused = on_refused
        self._reached = reached
        self._fresh = fresh
        self._on_heartbeat = on_heartbeat
        self._on_held = on_held
        self._on_wishes = on_wishes
        self._on_diary = on_diary
        self._on_believes = on_believes
        self._forward_registry = forward_registry
        self._nodes: dict[str, _Node] = {}
        self._refusals = Seldom()
        self._lock = threading.Lock()
        self._dialling: dict[str, tuple[tuple[str, int], asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    # -- the component, from any thread ----------------------------------------------------------------------------

    def start(self) -> None:
        """Returns once it listens; raises OSError when the port is taken."""
        self._thread = threading.Thread(target=self.loop.run_forever, name="link", daemon=True)
        self._thread.start()
        self._call(self._open())

    def stop(self) -> None:
        if self._thread is None:
            return
        self._call(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self._thread = None
        self.loop.close()

    @property
    def port(self) -> int:
        """The port it listens on, also when 0 was asked for."""
        assert self._listener is not None, "not listening"
        return int(self._listener.sockets[0].getsockname()[1])

    def connected(self) -> set[str]:
        with self._lock:
            return set(self._nodes)

    def followers(self) -> set[str]:
        """The connected nodes that follow this manager and have not seen more than it."""
        with self._lock:
            return {node_id for node_id, node in self._nodes.items() if node.greeted}

    def send(self, node_id: str, message: Picture | DiaryTaken) -> None:
        """Queue a message; dropped when the node is not connected, since it gets everything after its next hello."""
        self.loop.call_soon_threadsafe(self._queue, node_id, message)

    def set_dial_targets(self, targets: dict[str, tuple[str, int]]) -> None:
        """The nodes (id → host, port) to which this manager has to connect by itself."""
        self.loop.call_soon_threadsafe(self._redial, dict(targets))

    def use(self, key: str, certificates: tuple[str, ...]) -> None:
        """Show these to nodes from now on; links that are there stay."""
        self._options = client_options(key, certificates)

    def certificate_of(self, node_id: str) -> LinkCertificate | None:
        """With which a connected node has proved who it is."""
        with self._lock:
            node = self._nodes.get(node_id)
        return node.connection.certificate if node else None

    def cut(self, node_id: str) -> None:
        """End the node's link, now."""
        self.loop.call_soon_threadsafe(self._cut, node_id)

    # -- channels, on the loop ---------------------------------------------------------------------------------------

    async def open_channel(self, node_id: str, request: ChannelRequest) -> Channel:
        """Raises LinkDown when the node cannot be reached; what it refuses is raised by the channel's `read`."""
        return await open_session(self._connection_to(node_id), msgspec.json.encode(request).decode())

    @contextmanager
    def registry_of(self, node_id: str) -> Iterator[str]:
        """The address (HOST:PORT) by which the registry on a manager's node is reached meanwhile, by way of its link.

        From any thread but the loop's. Raises LinkDown.
        """
        way = asyncio.run_coroutine_threadsafe(self._way_to_registry(node_id), self.loop).result()
        try:
            yield f"127.0.0.1:{way.get_port()}"
        finally:
            self.loop.call_soon_threadsafe(way.close)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _way_to_registry(self, node_id: str) -> asyncssh.SSHListener:
        connection = self._connection_to(node_id)
        try:
            async with asyncio.timeout(PATIENCE):
                return await connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", REGISTRY_PORT)
        except (asyncssh.Error, OSError) as error:  # TimeoutError is an OSError
            raise LinkDown("The node's registry cannot be reached.", where=node_id, why=str(error)) from error

    def _connection_to(self, node_id: str) -> ManagerConnection:
        """Raises LinkDown."""
        node = self._nodes.get(node_id)
        if node is None:
            raise LinkDown("The node is not connected to this manager.", where=node_id, next="see: appliance node ls")
        return node.connection

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    async def _open(self) -> None:
        address, port = self._listen_at
        if address:
            self._listener = await self.loop.create_server(self._new_connection, address, port, backlog=512)

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        tasks = [*self._tasks, *(task for _, task in self._dialling.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._dialling.clear()

    def _new_connection(self) -> ManagerConnection:
        connection = ManagerConnection(self.loop, self._options, acceptor=self._accepted, error_handler=self._failed)
        connection.why_not = self._why_not
        return connection

    def _accepted(self, connection: SSHConnection) -> None:
        """Called by asyncssh once both sides have proved who they are."""
        assert isinstance(connection, ManagerConnection)
        task = self.loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _failed(self, connection: SSHConnection, error: Exception | None) -> None:
        if self._refusals.is_news(str(error)):
            log.warning("refused a link: %s", error)

    async def _serve(self, connection: ManagerConnection) -> None:
        """The whole life of a link after authentication."""
        node_id = connection.node_id
        try:
            control = await open_session(connection, CONTROL)
            messages: Messages[FromAgent] = Messages(control, FromAgent)
            hello = await messages.receive(SILENCE)
            if not isinstance(hello, Hello) or hello.node != node_id:
                raise LinkDown("A node did not introduce itself by the name in its certificate.", where=node_id)
            if refused := self._refuse(hello):
                await self._turn_away(node_id, control, messages, refused)
            else:
                await self._converse(connection, messages, hello)
        except (LinkDown, asyncssh.Error, OSError) as error:
            log.warning("link to %s ended: %s", node_id, error)
        finally:
            connection.abort()

    async def _turn_away(self, node_id: str, control: Stream, messages: Messages[FromAgent], refused: Refused) -> None:
        """Say why. The link is kept, unused: the node would only come again, and whoever is upgraded starts anew."""
        log.warning("%s is turned away: %s %s", node_id, refused.what, refused.why)
        self._on_refused(node_id, refused)
        said = TurnedAway(what=refused.what, why=refused.why, next=refused.next, page=refused.page)
        await messages.send(said)
        while True:
            async with asyncio.timeout(SILENCE):
                if await control.receive() is None:
                    return

    async def _converse(self, connection: ManagerConnection, messages: Messages[FromAgent], hello: Hello) -> None:
        node_id = connection.node_id
        node = _Node(connection)
        with self._lock:
            older = self._nodes.get(node_id)
            self._nodes[node_id] = node
        if older is not None:
            log.info("a newer link of %s replaces the older", node_id)
            self._end_following(node_id, older, anew=hello.follows)
            older.connection.abort()
            self._on_gone(node_id)  # what it said on the older link no longer counts
        sending = self.loop.create_task(self._send_queue(node, messages))
        end_on_failure(sending, connection.abort)
        try:
            log.info("%s is connected", node_id)
            self._introduced(node_id, node, hello)
            while (message := await messages.receive(SILENCE)) is not None:
                if self._nodes.get(node_id) is node:
                    self._received(node_id, node, message)
        finally:
            sending.cancel()
            with self._lock:
                current = self._nodes.get(node_id) is node
                if current:
                    del self._nodes[node_id]
            if current:
                self._end_following(node_id, node)
                self._on_gone(node_id)

    def _introduced(self, node_id: str, node: _Node, hello: Hello) -> None:
        self._end_following(node_id, node, anew=hello.follows)
        node.seen = hello.seen
        if hello.follows:
            node.following = self.loop.create_task(self._serve_follower(node_id, node, hello))
            end_on_failure(node.following, node.connection.abort)

    def _end_following(self, node_id: str, node: _Node, *, anew: bool = False) -> None:
        if node.following is not None:
            node.following.cancel()
        node.following = None
        node.early.clear()
        if node.greeted and not anew:
            self._on_left(node_id)
        node.greeted = False

    async def _serve_follower(self, node_id: str, node: _Node, hello: Hello) -> None:
        if not self._reached(hello.seen):
            log.warning("%s has seen more than this manager's copy of the store holds; it is told nothing yet", node_id)
        while not self._reached(hello.seen):
            await asyncio.sleep(CATCHING_UP)
        node.greeted = True
        self._on_hello(node_id, hello)
        if node.early:
            self._on_report(node_id, Report(statuses=tuple(node.early.values())))
        node.early.clear()
        if self._forward_registry(node_id):
            await forward_registry(node.connection)

    async def _send_queue(self, node: _Node, messages: Messages[FromAgent]) -> None:
        try:
            while True:
                await messages.send(await node.queue.get())
        except LinkDown:
            node.connection.abort()

    def _received(self, node_id: str, node: _Node, message: FromAgent) -> None:
        match message:
            case Report():
                if node.greeted:
                    self._on_report(node_id, message)
                elif node.following is not None:
                    node.early.update({status.instance: status for status in message.statuses})
            case Held():
                if self._on_held is not None:
                    self._on_held(node_id, message)
            case Believes():
                if self._on_believes is not None:
                    self._on_believes(node_id, message)
            case Wishes():
                if self._on_wishes is not None:
                    self._on_wishes(node_id, message)
            case DiaryPage():
                if self._on_diary is not None:
                    self._on_diary(node_id, message)
            case Heartbeat():
                if message.tick:
                    fresh = self._fresh() and self._reached(node.seen)
                    self._queue(node_id, Echo(tick=message.tick, clock=time.time(), fresh=fresh))
                if self._on_heartbeat is not None:
                    self._on_heartbeat(node_id, message)
            case Hello():
                if message.node != node_id:
                    raise LinkDown("A node introduced itself by another name.", where=node_id, why=message.node)
                self._introduced(node_id, node, message)

    def _queue(self, node_id: str, message: Picture | Echo | DiaryTaken) -> None:
        node = self._nodes.get(node_id)
        if node is None:
            return
        try:
            node.queue.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("%s does not read its messages; its link is ended", node_id)
            node.connection.abort()

    def _cut(self, node_id: str) -> None:
        node = self._nodes.get(node_id)
        if node is not None:
            node.connection.abort()

    def _redial(self, targets: dict[str, tuple[str, int]]) -> None:
        for node_id, (target, task) in list(self._dialling.items()):
            if targets.get(node_id) == target:
                continue
            del self._dialling[node_id]
            if node_id not in targets:
                task.cancel()
            else:  # it moved: the old link lasts until the new one is there, for it may be what tells the node
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        for node_id, target in targets.items():
            if node_id not in self._dialling:
                self._dialling[node_id] = (target, self.loop.create_task(self._dial(node_id, *target)))

    async def _dial(self, node_id: str, host: str, port: int) -> None:
        async def reach() -> ManagerConnection:
            return (await self.loop.create_connection(self._new_connection, host, port))[1]

        def wanted() -> bool:
            """Another task dials where the node moved to."""
            return self._dialling.get(node_id, ((host, port), None))[0] == (host, port)

        def ended(connection: ManagerConnection) -> None:
            if connection.node_id not in ("", node_id):
                log.warning("at %s:%d is %s instead of %s", host, port, connection.node_id, node_id)

        await keep_dialling(reach, f"{node_id} at {host}:{port}", wanted=wanted, ended=ended)
