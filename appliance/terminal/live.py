"""What a request and an answer cannot carry: followed logs, commands with a terminal, and the live overview.

A WebSocket server on two unix sockets: the admin one (whoever can open it is root) and the one behind nginx, where a
session and our own Origin are required. Each socket's own back-pressure reaches the node: nothing is read from the
link before the reader has taken the last piece.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from appliance.errors import ApplianceError, LinkDown, NotFound, UsageError
from appliance.link.messages import ExecRequest, LogsRequest
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.store import keys
from appliance.store.state import State
from appliance.terminal.frames import LARGEST_FRAME, STDERR, STDOUT, error_fields

log = logging.getLogger(__name__)

EVENT_PAUSE = 0.2
"""Seconds between two snapshots at least."""
LONGEST_START = 30.0
"""Seconds the first message of an exec may take."""


class Channel(Protocol):
    """A command or a log on a node (see link/manager_end.py)."""

    async def read(self) -> tuple[str, bytes] | None: ...

    async def write(self, data: bytes) -> None: ...

    async def close_input(self) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def exit_code(self) -> int: ...

    def close(self) -> None: ...


class Link(Protocol):
    async def open_channel(self, node_id: str, request: ExecRequest | LogsRequest) -> Channel: ...


class Live:
    """Runs on `loop` (in whose thread the link lives too); `start` and `stop` may be called from other threads.

    `user_of` turns a session id into a user, `snapshot` gives what /ws/events sends.
    """

    name = "live"

    def __init__(
        self,
        state: State,
        link: Link,
        loop: asyncio.AbstractEventLoop,
        admin_socket: Path,
        web_socket: Path,
        user_of: Callable[[str], str | None],
        snapshot: Callable[[], dict[str, Any]],
    ) -> None:
        self._state = state
        self._link = link
        self._loop = loop
        self._sockets = (admin_socket, web_socket)
        self._user_of = user_of
        self._snapshot = snapshot
        self._servers: list[Server] = []
        self._watchers: set[asyncio.Event] = set()
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=30)
        for prefix in (keys.NODES, keys.SERVICES, keys.INSTANCES, keys.BINDINGS, keys.REFUSALS, keys.ROOT + "status/"):
            self._unsubscribe.append(self._state.copy.subscribe(prefix, self._changed))

    def stop(self) -> None:
        while self._unsubscribe:
            self._unsubscribe.pop()()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=30)

    async def _start(self) -> None:
        admin, web = self._sockets
        for path, check in ((admin, None), (web, self._admit)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            server = await unix_serve(
                self._serve,
                str(path),
                process_request=check,
                max_size=LARGEST_FRAME,
                compression=None,
                server_header=None,
                start_serving=False,
            )
            # Before anybody can connect.
            path.chmod(0o600)
            await server.start_serving()
            self._servers.append(server)

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        for path in self._sockets:
            path.unlink(missing_ok=True)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets the connection in; a page of another origin or without a session is turned away."""
        headers = request.headers
        if headers.get("Origin") != f"https://{headers.get('Host')}":
            return connection.respond(403, "This did not come from this cluster's own page.\n")
        if self._user_of(session_of(headers.get("Cookie", ""))) is None:
            return connection.respond(401, "You are not logged in.\n")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None, "the handshake is over"
        address = urlsplit(socket.request.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        try:
            if address.path == "/ws/events":
                await self._events(socket)
            elif address.path == "/ws/logs":
                await self._logs(socket, query)
            elif address.path == "/ws/exec":
                await self._exec(socket)
            else:
                raise NotFound(f"There is nothing at {address.path}.")
        except ConnectionClosed:
            return
        except ApplianceError as error:
            await _say_error(socket, error)
        except Exception:
            log.exception("%s failed", address.path)
            await _say_error(socket, ApplianceError("The manager made a mistake.", next="its log says more"))

    async def _events(self, socket: ServerConnection) -> None:
        changed = asyncio.Event()
        self._watchers.add(changed)
        gone = asyncio.ensure_future(socket.wait_closed())
        try:
            while not gone.done():
                changed.clear()
                await socket.send(json.dumps(self._snapshot()))
                waiting = asyncio.ensure_future(changed.wait())
                await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                await asyncio.sleep(EVENT_PAUSE)
        finally:
            self._watchers.discard(changed)
            gone.cancel()

    def _changed(self) -> None:
        # Called in the mirror's thread.
        self._loop.call_soon_threadsafe(self._wake_watchers)

    def _wake_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    async def _logs(self, socket: ServerConnection, query: dict[str, str]) -> None:
        instance = query.get("instance", "")
        request = LogsRequest(
            instance=instance,
            container=query.get("container", ""),
            follow=query.get("follow") == "1",
            tail=_tail(query.get("tail", "")),
            timestamps=query.get("timestamps") == "1",
        )
        channel = await self._link.open_channel(self.node_of(instance), request)
        reading = asyncio.ensure_future(_from_node(channel, socket))
        gone = asyncio.ensure_future(socket.wait_closed())
        try:
            await asyncio.wait((reading, gone), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
                await socket.send(json.dumps({"end": True}))
        finally:
            await _end(reading, gone)
            channel.close()

    async def _exec(self, socket: ServerConnection) -> None:
        request = parse_exec(await asyncio.wait_for(socket.recv(), LONGEST_START))
        channel = await self._link.open_channel(self.node_of(request.instance), request)
        reading = asyncio.ensure_future(_from_node(channel, socket))
        writing = asyncio.ensure_future(_to_node(channel, socket))
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                # The person is gone; what they started goes with them.
                writing.result()
                return
            reading.result()
            await socket.send(json.dumps({"exit": channel.exit_code()}))
        finally:
            await _end(reading, writing)
            channel.close()

    def node_of(self, instance: str) -> str:
        """The id of the node that runs `instance`; raises NotFound."""
        binding = self._state.bindings.get(instance)
        if binding is not None:
            return binding.node
        status = self._state.instance_status.get(instance)
        if status is not None and instance.startswith(f"{SYSTEM_SERVICE}/"):
            return status.node
        if self._state.instances.get(instance) is not None:
            raise NotFound(f"{instance} has no node yet.", next=f"see: appliance why {instance}")
        raise NotFound(f"There is no instance called {instance}.", next="see: appliance ps")


def session_of(cookies: str) -> str:
    """The session id in a Cookie header, "" if there is none."""
    try:
        morsel = SimpleCookie(cookies).get("__Host-session")
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def parse_exec(message: str | bytes) -> ExecRequest:
    """The first message of /ws/exec; raises UsageError."""
    try:
        wish = json.loads(message)
        return ExecRequest(
            instance=str(wish["instance"]),
            container=str(wish.get("container", "")),
            command=tuple(str(word) for word in wish["command"]),
            terminal=bool(wish.get("terminal", False)),
            rows=int(wish.get("rows", 24)),
            columns=int(wish.get("columns", 80)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("The first message of an exec is not what it should be.", why=repr(error)) from error


def _tail(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit():
        raise UsageError(f"tail={text} is not a number of lines.")
    return int(text)


async def _from_node(channel: Channel, socket: ServerConnection) -> None:
    while (piece := await channel.read()) is not None:
        stream, data = piece
        await socket.send(bytes([STDERR if stream == "stderr" else STDOUT]) + data)


async def _to_node(channel: Channel, socket: ServerConnection) -> None:
    """Ends when the socket does; a text frame resizes (``{"rows", "columns"}``) or ends the input (``{"eof"}``)."""
    async for message in socket:
        try:
            await _pass_on(message, channel)
        except (LinkDown, OSError) as error:
            # The command may end while something is on its way to it; its exit code or the error comes from `read`.
            log.debug("input came too late: %s", error)


async def _pass_on(message: str | bytes, channel: Channel) -> None:
    if isinstance(message, bytes):
        await channel.write(message[1:])
        return
    try:
        said = json.loads(message)
        ends = bool(said.get("eof"))
        rows, columns = (0, 0) if ends else (int(said["rows"]), int(said["columns"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("This message is not one that an exec takes.", why=repr(error)) from error
    if ends:
        await channel.close_input()
    else:
        channel.resize(rows, columns)


async def _end(*tasks: "asyncio.Future[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _say_error(socket: ServerConnection, error: ApplianceError) -> None:
    with contextlib.suppress(ConnectionClosed):
        await socket.send(json.dumps({"error": error_fields(error)}))
