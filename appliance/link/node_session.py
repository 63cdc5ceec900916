"""One session that a manager opened on a node: the control session, a command, a log or a measurement."""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import asyncssh
import msgspec

from appliance.engine.engine import ExecSession, LogStream
from appliance.errors import ApplianceError, EngineError, LinkDown
from appliance.link.messages import LARGEST_MESSAGE, ChannelRequest, ExecRequest, LogsRequest, ProbeRequest
from appliance.link.session import CONTROL, Stream, encode_error
from appliance.model.decoding import decoder
from appliance.model.measurement import Measurement

log = logging.getLogger(__name__)


class Channels(Protocol):
    """What a node lets managers open. Blocking calls, each from a thread of its own; raise ApplianceError."""

    def open_exec(self, request: ExecRequest) -> ExecSession: ...

    def open_logs(self, request: LogsRequest) -> LogStream: ...

    def measure(self, request: ProbeRequest) -> tuple[Measurement, ...]: ...


class Link(Protocol):
    """What a session needs of the agent's end of the links."""

    channels: Channels

    def run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]": ...

    async def converse(self, stream: Stream, manager: str) -> None: ...


class NodeSession(Stream, asyncssh.SSHServerSession[bytes]):
    """On the link's loop."""

    def __init__(self, link: Link, manager: str, connection: asyncssh.SSHServerConnection) -> None:
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
            self._request = decoder(ChannelRequest).decode(command)
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
