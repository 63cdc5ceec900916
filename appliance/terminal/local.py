"""The agent's own socket: what root on the node may ask of its instances, whether or not a manager can be reached.

Whoever can open it is root. One connection is one request, answered by a thread of its own; between requests there is
one thread that waits, and no more memory than that. The frames are those of `frames.py`: a request as text, then, from
the node, who it is, and what belongs to the request as the manager's WebSockets have it.
"""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from appliance.engine.engine import ExecSession, LogStream
from appliance.errors import ApplianceError, EngineError, UsageError
from appliance.link.messages import ExecRequest, LogsRequest
from appliance.model.decoding import decoder
from appliance.model.wish import Action, LocalWish
from appliance.terminal.frames import HEADER, STDERR, STDOUT, Frame, error_fields, length_of, packed, unpacked

log = logging.getLogger(__name__)

LONGEST_GOODBYE = 5.0
"""Seconds in which the other end has to take the last of what it was told."""


class StateRequest(msgspec.Struct, frozen=True, kw_only=True, tag="state"):
    """What the agent knows: answered by one text frame."""


class ChangeRequest(msgspec.Struct, frozen=True, kw_only=True, tag="change"):
    """Restart, stop or start an instance: answered by one text frame once it is on the disk."""

    instance: str
    action: Action
    who: str


LocalRequest = StateRequest | ChangeRequest | ExecRequest | LogsRequest
_DECODER: msgspec.json.Decoder[LocalRequest] = decoder(LocalRequest)


class Channels(Protocol):
    """What the node opens of its instances. Blocking calls that raise ApplianceError."""

    def open_exec(self, request: ExecRequest) -> ExecSession: ...

    def open_logs(self, request: LogsRequest) -> LogStream: ...


class Wire:
    """Frames over a connected socket, blocking. One thread may send while another receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def send(self, frame: Frame) -> None:
        """Returns once there is room for more; OSError when the other end has gone."""
        self._connection.sendall(packed(frame))

    def receive(self) -> Frame | None:
        """None at the end. Raises LinkDown for what is no frame."""
        header = self._file.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        kind, length = length_of(header)
        content = self._file.read(length)
        return unpacked(kind, content) if len(content) == length else None

    def close(self) -> None:
        """Let the other end read to the last frame: what it wrote and nobody read would break that off."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(LONGEST_GOODBYE)
            while self._connection.recv(65536):
                pass
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class LocalSocket:
    """A component. `state`: what the agent knows, as in its status file; `wish` takes what is asked of an instance."""

    name = "local socket"

    def __init__(
        self,
        path: Path,
        channels: Channels,
        state: Callable[[], dict[str, Any]],
        wish: Callable[[str, Action, str], LocalWish],
    ) -> None:
        self._path = path
        self._channels = channels
        self._state = state
        self._wish = wish
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listener = self._listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        # Before anybody can connect.
        self._path.chmod(0o600)
        listener.listen()
        self._thread = threading.Thread(target=self._accept, args=(listener,), name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join()
        self._listener.close()
        self._listener = self._thread = None
        self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Wire(connection),), name="local", daemon=True).start()

    def _serve(self, wire: Wire) -> None:
        try:
            self._answer(wire)
        except ApplianceError as error:
            _say_error(wire, error)
        except OSError as error:
            log.debug("a local command's other end has gone: %s", error)
        finally:
            wire.close()

    def _answer(self, wire: Wire) -> None:
        request = _parse(wire.receive())
        known = self._state()
        wire.send(json.dumps({"node": known["name"], "manager": known["manager"]}))
        match request:
            case StateRequest():
                wire.send(json.dumps(known))
            case ChangeRequest():
                made = self._wish(request.instance, request.action, request.who)
                wire.send(msgspec.json.encode(made).decode())
            case LogsRequest():
                self._logs(wire, self._channels.open_logs(request))
            case ExecRequest():
                self._exec(wire, self._channels.open_exec(request))

    def _logs(self, wire: Wire, stream: LogStream) -> None:
        threading.Thread(target=_close_with, args=(wire, stream), name="local input", daemon=True).start()
        with contextlib.closing(stream):
            for piece in stream:
                wire.send(_output(piece))
        wire.send(json.dumps({"end": True}))

    def _exec(self, wire: Wire, session: ExecSession) -> None:
        threading.Thread(target=_take_input, args=(wire, session), name="local input", daemon=True).start()
        with contextlib.closing(session):
            try:
                while (piece := session.read()) is not None:
                    wire.send(_output(piece))
            except OSError as error:
                raise EngineError("The connection to the container broke.", why=str(error)) from error
            wire.send(json.dumps({"exit": session.exit_code()}))


def _parse(frame: Frame | None) -> LocalRequest:
    try:
        return _DECODER.decode(frame or b"")
    except ValueError as error:
        raise UsageError("This is not a request that a node takes.", why=str(error)) from error


def _output(piece: tuple[str, bytes]) -> bytes:
    stream, data = piece
    return bytes([STDERR if stream == "stderr" else STDOUT]) + data


def _close_with(wire: Wire, stream: LogStream) -> None:
    """When the reader goes, the log ends although nothing more is written."""
    with contextlib.suppress(ApplianceError, OSError, ValueError):
        while wire.receive() is not None:
            pass
    stream.close()


def _take_input(wire: Wire, session: ExecSession) -> None:
    """A text frame resizes (``{"rows", "columns"}``) or ends the input (``{"eof"}``).

    When the person is gone, what they started goes with them.
    """
    try:
        while (frame := wire.receive()) is not None:
            if isinstance(frame, bytes):
                session.write(frame[1:])
            elif (said := json.loads(frame)).get("eof"):
                session.close_input()
            else:
                session.resize(int(said["rows"]), int(said["columns"]))
    except (ApplianceError, OSError, ValueError, KeyError) as error:
        log.debug("a local command does not take its input any more: %s", error)
    session.close()


def _say_error(wire: Wire, error: ApplianceError) -> None:
    with contextlib.suppress(OSError):
        wire.send(json.dumps({"error": error_fields(error)}))
