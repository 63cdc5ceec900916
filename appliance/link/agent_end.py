"""The agent's end of the links. Whoever dialled, it is the SSH server: managers open sessions on it.

It offers the control session, commands in containers and their logs, and the registry's port, forwarded both ways;
nothing else that SSH could do. It has a link to every manager and follows one of them: only that one's orders and other
pictures of the cluster are taken, and only that one is told what runs here (ADR 83).
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncssh
import msgspec

from appliance.link.choice import chosen
from appliance.link.conversation import Conversation, Standing
from appliance.link.dialling import keep_dialling
from appliance.link.door import Door, NodeKeys
from appliance.link.fence import Fence
from appliance.link.messages import DiaryTaken, Heartbeat, Hello, Picture, TurnedAway
from appliance.link.node_session import Channels, NodeSession
from appliance.link.session import Stream
from appliance.model.cluster import REGISTRY_PORT
from appliance.model.instance import InstanceStatus
from appliance.model.measurement import Measurement
from appliance.model.node import Dial
from appliance.model.skew import Skew
from appliance.model.usage import NodeUsage
from appliance.security.ssh import read_certificate

log = logging.getLogger(__name__)

STATUSES_IN_REPORT = 200
"""So that no report comes near LARGEST_MESSAGE."""

Address = tuple[str, int]


@dataclass(frozen=True)
class LinkState:
    """For `status`: the certificate name of the manager that is followed ("" : none), and since when it is connected
    (seconds since 1970)."""

    manager: str = ""
    since: float = 0.0


class AgentLink:
    """A component. `hello`, `on_message`, `usage` and `on_skew` are called on the link's loop and must be quick.

    `managers`: (host, port) to dial; with `dial` "manager" it listens on `listen` instead. `on_message` gets what the
    followed manager says, unless `fence` holds it off; `on_taken` what any manager says of the diary; `on_skew` what
    every heartbeat to the followed one finds out of this node's `clock` (seconds since the epoch).
    """

    name = "link"

    def __init__(
        self,
        *,
        managers: Iterable[Address],
        keys: NodeKeys,
        hello: Callable[[], Hello],
        on_message: Callable[[Picture], None],
        on_taken: Callable[[DiaryTaken], None] = lambda taken: None,
        channels: Channels,
        fence: Fence,
        dial: Dial = "agent",
        listen: Address = ("", 0),
        usage: Callable[[], NodeUsage | None] = lambda: None,
        overlay: Callable[[], tuple[Measurement, ...] | None] = lambda: None,
        on_skew: Callable[[Skew], None] = lambda skew: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._managers = frozenset(managers)
        self._dial = dial
        self._listen_at = listen
        self._hello = hello
        self._on_message = on_message
        self._on_taken = on_taken
        self._fence = fence
        self._usage = usage
        self._overlay = overlay
        self._on_skew = on_skew
        self.clock = clock
        self.channels = channels
        self._node = read_certificate(keys.certificate).name
        self._loop = asyncio.new_event_loop()
        self._door = Door(keys, lambda: _Server(self), self._loop)
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._lock = threading.Lock()
        self._waiting: dict[str, InstanceStatus] = {}
        self._said: dict[type[Standing], Standing] = {}
        self._dialling: dict[Address, asyncio.Task[None]] = {}
        self._conversations: dict[str, Conversation] = {}
        self._followed: Conversation | None = None
        self._state = LinkState()

    # -- the component, from any thread ----------------------------------------------------------------------------

    def start(self) -> None:
        """Returns at once with `dial` "agent"; else once it listens. Raises OSError when the port is taken."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(timeout=30)

    def stop(self) -> None:
        if self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None
        self._loop.close()

    @property
    def port(self) -> int:
        """The port it listens on with `dial` "manager"."""
        assert self._listener is not None, "not listening"
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def state(self) -> LinkState:
        return self._state

    @property
    def answers(self) -> bool:
        """Whether the manager that is followed answers now; a link whose cable was pulled lives on for a while."""
        followed = self._followed
        return followed is not None and followed.good

    @property
    def turned_away(self) -> dict[str, TurnedAway]:
        """The managers that do not work with this node, and why."""
        conversations = list(self._conversations.items())
        return {manager: each.turned_away for manager, each in conversations if each.turned_away is not None}

    def report(self, statuses: tuple[InstanceStatus, ...]) -> None:
        """Send statuses soon. While no manager is followed only the latest of each instance is kept."""
        with self._lock:
            self._waiting.update({status.instance: status for status in statuses})
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def use(self, keys: NodeKeys) -> None:
        """Prove by these who this node is, and let in by them, from now on; links that are there stay."""
        self._door.use(keys)

    def say(self, message: Standing) -> None:
        """Every manager is told soon, and at the beginning of its link: of each kind of message what was said last."""
        with self._lock:
            self._said[type(message)] = message
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def set_managers(self, managers: Iterable[Address]) -> None:
        """Have a link to each of these and to no other; without effect with `dial` "manager"."""
        self._managers = frozenset(managers)
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._redial)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        for conversation in self._conversations.values():
            conversation.wake()

    async def _open(self) -> None:
        if self._dial == "manager":
            self._listener = await self._door.listen(*self._listen_at)
        else:
            self._redial()

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        tasks = [*self._tasks, *self._dialling.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _redial(self) -> None:
        if self._dial == "manager":
            return
        for address in self._dialling.keys() - self._managers:
            self._dialling.pop(address).cancel()
        for address in self._managers - self._dialling.keys():
            whom = "the manager at {}:{}".format(*address)
            self._dialling[address] = asyncio.ensure_future(keep_dialling(partial(self._door.reach, *address), whom))

    # -- conversations, on the loop ------------------------------------------------------------------------------------

    async def converse(self, stream: Stream, manager: str) -> None:
        """The control session of a manager, from hello to the end; it takes the place of an older one."""
        conversation = self._conversations[manager] = Conversation(stream, manager, self)
        self.choose()
        try:
            await conversation.run()
        finally:
            if self._conversations.get(manager) is conversation:
                del self._conversations[manager]
            self.choose()

    def choose(self) -> None:
        """Follow the manager that is to be followed now."""
        links = {manager: each.good for manager, each in self._conversations.items() if each.turned_away is None}
        now = self._conversations.get(chosen(self._state.manager, links, self._node))
        before, self._followed = self._followed, now
        if now is before:
            return
        if before is not None:
            before.leave()
        if now is not None:
            now.follow(self._fence.next_turn(), self._fence.stamp)
        self._state = LinkState(now.manager, now.began) if now is not None else LinkState()
        log.info("following manager %s", self._state.manager or "none")

    def hello(self, *, follows: bool) -> Hello:
        if not follows:
            return msgspec.structs.replace(self._hello(), statuses=(), follows=False)
        with self._lock:
            self._waiting.clear()  # hello carries everything
        return self._hello()

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(clock=self.clock(), usage=self._usage(), overlay=self._overlay())

    def said(self) -> dict[type[Standing], Standing]:
        with self._lock:
            return dict(self._said)

    def next_statuses(self) -> tuple[InstanceStatus, ...]:
        with self._lock:
            names = list(self._waiting)[:STATUSES_IN_REPORT]
            return tuple(self._waiting.pop(name) for name in names)

    def take(self, picture: Picture) -> None:
        self._fence.take(picture.stamp)
        self._on_message(picture)

    def taken(self, diary: DiaryTaken) -> None:
        self._on_taken(diary)

    def heard(self, manager: str, clock: float) -> None:
        self._door.heard(manager, clock)

    def measured(self, skew: Skew) -> None:
        self._on_skew(skew)


class _Server(asyncssh.SSHServer):
    """What this end of one connection allows."""

    def __init__(self, link: AgentLink) -> None:
        self._link = link
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        return True

    def session_requested(self) -> NodeSession:
        assert self._connection is not None
        return NodeSession(self._link, str(self._connection.get_extra_info("username")), self._connection)

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        """A manager offers its registry to this node's engine."""
        return (listen_host, listen_port) == ("127.0.0.1", REGISTRY_PORT)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """A manager wants to copy images from the registry of this node's manager."""
        return (dest_host, dest_port) == ("127.0.0.1", REGISTRY_PORT)
