"""The agent's end of the links. Whoever dialled, it is the SSH server: managers open sessions on it.

It offers the control session, commands in containers and their logs, and one forwarded port for the registry;
nothing else that SSH could do.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import asyncssh
import msgspec

from appliance.engine.engine import ExecSession, LogStream
from appliance.errors import ApplianceError, EngineError, LinkDown
from appliance.link.comparison import Comparison
from appliance.link.door import Door, NodeKeys
from appliance.link.messages import (
    LARGEST_MESSAGE,
    ChannelRequest,
    Echo,
    ExecRequest,
    FromManager,
    Heartbeat,
    Held,
    Hello,
    LogsRequest,
    ProbeRequest,
    Report,
    Wishes,
)
from appliance.link.session import (
    CONTROL,
    HEARTBEAT,
    Messages,
    Stream,
    encode_error,
)
from appliance.model.cluster import REGISTRY_PORT
from appliance.model.instance import InstanceStatus
from appliance.model.measurement import Measurement
from appliance.model.node import Dial
from appliance.model.skew import Skew
from appliance.model.usage import NodeUsage

log = logging.getLogger(__name__)

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 5.0
Standing = Held | Wishes
"""Messages that each say all there is to say of their kind."""
STATUSES_IN_REPORT = 200
"""So that no report comes near LARGEST_MESSAGE."""
_OPENING = 20.0


class Channels(Protocol):
    """What a node lets managers open. Blocking calls, each from a thread of its own; raise ApplianceError."""

    def open_exec(self, request: ExecRequest) -> ExecSession: ...

    def open_logs(self, request: LogsRequest) -> LogStream: ...

    def measure(self, request: ProbeRequest) -> tuple[Measurement, ...]: ...


@dataclass(frozen=True)
class LinkState:
    """For `status`: the connected manager's certificate name ("" : none), and since when (seconds since 1970)."""

    manager: str = ""
    since: float = 0.0


class AgentLink:
    """A component. `hello`, `on_message`, `usage` and `on_skew` are called on the link's loop and must be quick.

    `managers`: (host, port) to dial; with `dial` "manager" it listens on `listen` instead. `on_skew` gets what every
    heartbeat finds out of this node's `clock` (seconds since the epoch).
    """

    name = "link"

    def __init__(
        self,
        *,
        managers: list[tuple[str, int]],
        keys: NodeKeys,
        hello: Callable[[], Hello],
        on_message: Callable[[FromManager], None],
        channels: Channels,
        dial: Dial = "agent",
        listen: tuple[str, int] = ("", 0),
        usage: Callable[[], NodeUsage | None] = lambda: None,
        overlay: Callable[[], tuple[Measurement, ...] | None] = lambda: None,
        on_skew: Callable[[Skew], None] = lambda skew: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._managers = managers
        self._dial = dial
        self._listen_at = listen
        self._hello = hello
        self._on_message = on_message
        self._usage = usage
        self._overlay = overlay
        self._on_skew = on_skew
        self._clock = clock
        self.channels = channels
        self._loop = asyncio.new_event_loop()
        self._door = Door(keys, lambda: _Server(self), self._loop)
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._lock = threading.Lock()
        self._waiting: dict[str, InstanceStatus] = {}
        self._said: dict[type[Standing], Standing] = {}
        self._arrived: asyncio.Event | None = None
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

    def report(self, statuses: tuple[InstanceStatus, ...]) -> None:
        """Send statuses soon. Without a link only the latest of each instance is kept."""
        with self._lock:
            self._waiting.update({status.instance: status for status in statuses})
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def use(self, keys: NodeKeys) -> None:
        """Prove by these who this node is, and let in by them, from now on; links that are there stay."""
        self._door.use(keys)

    def say(self, message: Standing) -> None:
        """Managers are told soon, and after every hello: of each kind of message what was said last."""
        with self._lock:
            self._said[type(message)] = message
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._wake)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._arrived is not None:
            self._arrived.set()

    async def _open(self) -> None:
        if self._dial == "manager":
            self._listener = await self._door.listen(*self._listen_at)
            return
        for host, port in self._managers:
            self.run(self._keep_dialling(host, port))

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def run(self, work: "asyncio._CoroutineLike[None]") -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_dialling(self, host: str, port: int) -> None:
        backoff = FIRST_BACKOFF
        failure = ""
        while True:
            try:
                async with asyncio.timeout(_OPENING):
                    connection = await self._door.reach(host, port)
            except (OSError, asyncssh.Error) as error:  # TimeoutError is an OSError
                if str(error) != failure:
                    failure = str(error)
                    log.warning("cannot reach the manager at %s:%d: %s; trying again", host, port, error)
            else:
                failure = ""
                began = time.monotonic()
                try:
                    await connection.wait_closed()
                finally:
                    connection.abort()
                if time.monotonic() - began > LONGEST_BACKOFF:  # else it was let in and sent away again
                    backoff = FIRST_BACKOFF
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def converse(self, stream: Stream, manager: str) -> None:
        """The control session, from hello to the end."""
        messages: Messages[FromManager] = Messages(stream, FromManager)
        arrived = self._arrived = asyncio.Event()
        with self._lock:
            self._waiting.clear()  # hello carries everything
        await messages.send(self._hello())
        state = self._state = LinkState(manager, time.time())
        log.info("connected to manager %s", manager)
        comparison = Comparison(self._clock, _tick)
        beating = asyncio.ensure_future(self._beat(messages, comparison))
        reporting = asyncio.ensure_future(self._send_reports(messages, arrived))
        try:
            while (message := await messages.receive()) is not None:
                if isinstance(message, Echo):
                    self._door.heard(manager, message.clock)
                    self._compare(comparison, message)
                else:
                    self._on_message(message)
        finally:
            beating.cancel()
            reporting.cancel()
            if self._state is state:
                self._state = LinkState()
            log.info("the link to manager %s ended", manager)

    async def _send_reports(self, messages: Messages[FromManager], arrived: asyncio.Event) -> None:
        """Until the link ends; the next hello then carries everything."""
        told: dict[type[Standing], Standing] = {}
        with suppress(LinkDown):
            while True:
                arrived.clear()
                for kind, said in self._all_said().items():
                    if told.get(kind) != said:
                        await messages.send(said)
                        told[kind] = said
                while statuses := self._next_statuses():
                    await messages.send(Report(statuses=statuses))
                await arrived.wait()

    def _all_said(self) -> dict[type[Standing], Standing]:
        with self._lock:
            return dict(self._said)

    def _next_statuses(self) -> tuple[InstanceStatus, ...]:
        with self._lock:
            names = list(self._waiting)[:STATUSES_IN_REPORT]
            return tuple(self._waiting.pop(name) for name in names)

    async def _beat(self, messages: Messages[FromManager], comparison: Comparison) -> None:
        while True:
            usage, skew = self._usage(), comparison.skew()
            try:
                beat = Heartbeat(
                    clock=self._clock(), usage=usage, tick=comparison.ask(), skew=skew, overlay=self._overlay()
                )
                await messages.send(beat)
            except LinkDown:
                return
            await asyncio.sleep(HEARTBEAT)

    def _compare(self, comparison: Comparison, echo: Echo) -> None:
        if comparison.answered(echo.tick, echo.clock) and (skew := comparison.skew()) is not None:
            self._on_skew(skew)


def _tick() -> float:
    """Neither steps nor whoever keeps the clock right change its pace."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


class _Server(asyncssh.SSHServer):
    """What this end of one connection allows."""

    def __init__(self, link: AgentLink) -> None:
        self._link = link
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        return True

    def session_requested(self) -> "_Session":
        assert self._connection is not None
        return _Session(self._link, str(self._connection.get_extra_info("username")), self._connection)

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return (listen_host, listen_port) == ("127.0.0.1", REGISTRY_PORT)


class _Session(Stream, asyncssh.SSHServerSession[bytes]):
    """One session that a manager opened: the control session, a command or a log."""

    def __init__(self, link: AgentLink, manager: str, connection: asyncssh.SSHServerConnection) -> None:
        super().__init__()
        self._link = link
        self._manager = manager
        self._connection = connection
        self._request: ChannelRequest | None = None
        self._open: ExecSession | LogStream | None = None

    def exec_requested(self, command: str) -> bool:
        if command == CONTROL:
            return True
        if len(command) > LARGEST_MESSAGE:
            return False
        try:
            self._request = msgspec.json.decode(command, type=ChannelRequest)
        except msgspec.DecodeError as error:
            log.warning("manager %s asked for something unknown: %s", self._manager, error)
            return False
        return True

    def session_started(self) -> None:
        self._link.run(self._control() if self._request is None else self._channel_of(self._request))

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._open is not None and isinstance(self._request, ExecRequest) and 0 < width < 1000 and 0 < height < 1000:
            session: ExecSession = self._open  # type: ignore[assignment]
            self._link.run(asyncio.to_thread(session.resize, height, width))

    async def _control(self) -> None:
        try:
            await self._link.converse(self, self._manager)
        except (ApplianceError, OSError) as error:
            log.warning("the control session ended: %s", error)
        finally:
            self._connection.abort()

    async def _channel_of(self, request: ChannelRequest) -> None:
        """Blocking calls have two threads of their own, so that no number of them holds up anything else."""
        threads = ThreadPoolExecutor(2, thread_name_prefix="channel")
        try:
            await self._pump(request, threads)
        except LinkDown:
            log.debug("manager %s does not read %s any more", self._manager, _subject(request))
        except ApplianceError as error:
            self._fail(error)
        except OSError as error:
            self._fail(EngineError("The connection to the container broke.", where=_subject(request), why=str(error)))
        finally:
            if self._open is not None:
                threads.submit(self._open.close)
            threads.shutdown(wait=False)
            self.close()

    async def _pump(self, request: ChannelRequest, threads: ThreadPoolExecutor) -> None:
        """Open what was asked for and carry its bytes until it ends."""
        loop = asyncio.get_running_loop()
        if isinstance(request, LogsRequest):
            logs = self._open = await loop.run_in_executor(threads, self._link.channels.open_logs, request)
            await loop.run_in_executor(threads, self._pump_logs, logs, loop)
            self._channel.exit(0)
            return
        if isinstance(request, ProbeRequest):
            measured = await loop.run_in_executor(threads, self._link.channels.measure, request)
            await self.send(msgspec.json.encode(measured))
            self._channel.exit(0)
            return
        session = self._open = await loop.run_in_executor(threads, self._link.channels.open_exec, request)
        taking = asyncio.ensure_future(self._take_input(session, threads))
        try:
            await loop.run_in_executor(threads, self._pump_exec, session, loop)
        finally:
            taking.cancel()
        self._channel.exit(session.exit_code())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._open is not None:
            # Ends the blocking read in the thread; `_channel_of` then cleans up.
            threading.Thread(target=self._open.close, daemon=True).start()

    def _fail(self, error: ApplianceError) -> None:
        name, text = encode_error(error)
        self._channel.exit_with_signal(name, False, text)

    def _pump_exec(self, session: ExecSession, loop: asyncio.AbstractEventLoop) -> None:
        while (piece := session.read()) is not None:
            self._forward(piece, loop)

    def _pump_logs(self, logs: LogStream, loop: asyncio.AbstractEventLoop) -> None:
        for piece in logs:
            self._forward(piece, loop)

    def _forward(self, piece: tuple[str, bytes], loop: asyncio.AbstractEventLoop) -> None:
        """Returns once there is room for more."""
        stream, data = piece
        asyncio.run_coroutine_threadsafe(self.send(data, error_stream=stream == "stderr"), loop).result()

    async def _take_input(self, session: ExecSession, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (piece := await self.receive()) is not None:
                await loop.run_in_executor(threads, session.write, piece[1])
            await loop.run_in_executor(threads, session.close_input)
        except (OSError, ApplianceError) as error:
            log.debug("a command does not take its input any more: %s", error)


def _subject(request: ChannelRequest) -> str:
    return "the overlay" if isinstance(request, ProbeRequest) else request.instance
