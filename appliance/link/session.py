"""What both ends of the link share: algorithms, limits, a byte stream over an SSH channel, messages over a stream."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, get_args

import asyncssh
import msgspec

from appliance.errors import (
    ApplianceError,
    EngineError,
    EngineUnavailable,
    LinkDown,
    NoSuchContainer,
    NotFound,
    Refused,
    Unavailable,
    UsageError,
)
from appliance.link.messages import LARGEST_MESSAGE
from appliance.model.decoding import decode, decoder

log = logging.getLogger(__name__)

CONTROL = "control"
"""The command that opens the control session; every other is a ChannelRequest in JSON."""
HEARTBEAT = 5.0
"""Seconds between two signs of life, in both directions."""
KEEPALIVE = 6.0
"""Seconds without a byte after which the other end is asked for one: a little more, so that heartbeats are enough."""
SILENCE = 20.0
"""Seconds without a byte after which the link counts as dead."""
BUFFER = 256 * 1024
"""Bytes that wait for a reader before the other end is told to pause."""

HOST_CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com"
ALGORITHMS: dict[str, Any] = {
    "config": None,  # no ~/.ssh/config
    "kex_algs": ["curve25519-sha256"],
    "encryption_algs": ["aes128-gcm@openssh.com"],
    "compression_algs": ["none"],
    "signature_algs": ["ssh-ed25519"],
    "host_based_auth": False,
    "kbdint_auth": False,
    "password_auth": False,
    "gss_kex": False,
    "gss_auth": False,
    "login_timeout": 15,
    "keepalive_interval": KEEPALIVE,
    "keepalive_count_max": 3,
    "encoding": None,
}
"""Options of both ends: one algorithm of each kind, keys only, and nothing read from anybody's home."""

_ERRORS: dict[str, type[ApplianceError]] = {
    kind.__name__: kind
    for kind in (EngineError, EngineUnavailable, LinkDown, NoSuchContainer, NotFound, Refused, Unavailable, UsageError)
}


class Stream:
    """The two directions of a channel, with back-pressure both ways. Used on the loop of its connection only.

    Mixed into asyncssh's client and server sessions: the methods up to `resume_writing` are its callbacks.
    """

    def __init__(self) -> None:
        self._channel: Any = None
        self._pieces: deque[tuple[bool, bytes]] = deque()
        self._waiting = 0
        self._paused = False
        self._ended = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._status: int | None = None
        self._error: ApplianceError | None = None

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._pieces.append((datatype == asyncssh.EXTENDED_DATA_STDERR, data))
        self._waiting += len(data)
        if self._waiting > BUFFER and not self._paused:
            self._paused = True
            self._channel.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        self._end()
        return True  # the other direction stays open

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._error is None:
            self._error = LinkDown("The connection to the node broke.", why=str(exc), next="try again")
        self._writable.set()
        self._end()

    def exit_status_received(self, status: int) -> None:
        self._status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._error = decode_error(signal, msg)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def receive(self) -> tuple[bool, bytes] | None:
        """The next piece: (whether it is of the error stream, bytes). None at the end."""
        while not self._pieces:
            if self._ended:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        piece = self._pieces.popleft()
        self._waiting -= len(piece[1])
        if self._paused and self._waiting < BUFFER // 2:
            self._paused = False
            self._channel.resume_reading()
        return piece

    async def send(self, data: bytes, *, error_stream: bool = False) -> None:
        """Returns when there is room for more. Raises LinkDown when nobody will read it any more."""
        try:
            self._channel.write(data, asyncssh.EXTENDED_DATA_STDERR if error_stream else None)
        except OSError as error:
            raise LinkDown("The other end of the link has gone.", why=str(error)) from error
        await self._writable.wait()

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()

    def _end(self) -> None:
        self._ended = True
        self._arrived.set()


class _Tagged(msgspec.Struct, frozen=True):
    type: str


class Messages[T]:
    """One JSON object per line over a stream. `kind` is what may arrive."""

    def __init__(self, stream: Stream, kind: Any) -> None:
        self._stream = stream
        self._decoder: msgspec.json.Decoder[T] = decoder(kind)
        self._tags = {each.__struct_config__.tag for each in get_args(kind)}
        self._rest = bytearray()

    async def receive(self, silence: float | None = None) -> T | None:
        """The next message, None at the end; those of a kind that only a newer release knows are skipped.

        Raises LinkDown for what is none, for one that is larger than LARGEST_MESSAGE, and after `silence` seconds in
        which not a byte arrived.
        """
        while (line := await self._line(silence)) is not None:
            try:
                return self._decoder.decode(line)
            except ValueError as error:
                if not self._is_of_later(line):
                    raise LinkDown("A message on the link cannot be read.", why=str(error)) from error
        return None

    async def _line(self, silence: float | None) -> bytes | None:
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if searched > LARGEST_MESSAGE:
                raise LinkDown("A message on the link is too long.", why=f"more than {LARGEST_MESSAGE} bytes")
            try:
                async with asyncio.timeout(silence):
                    piece = await self._stream.receive()
            except TimeoutError as error:
                raise LinkDown("The other end of the link is silent.", why=f"for {silence:g} s") from error
            if piece is None:
                return None
            self._rest += piece[1]
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line

    def _is_of_later(self, line: bytes) -> bool:
        try:
            tag = decode(line, _Tagged).type
        except ValueError:
            return False
        return tag not in self._tags

    async def send(self, message: msgspec.Struct) -> None:
        await self._stream.send(msgspec.json.encode(message) + b"\n")


def end_on_failure(task: "asyncio.Task[None]", end: Callable[[], None]) -> None:
    """Call `end` when a part of a link has failed: a link without it would live on and do only half of its work."""

    def look(ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.error("a part of a link failed; the link is ended", exc_info=error)
            end()

    task.add_done_callback(look)


def encode_error(error: ApplianceError) -> tuple[str, str]:
    """(name, text) of an error for SSH's exit-signal message (RFC 4254, 6.10)."""
    text = {"what": error.what, "where": error.where, "why": error.why, "next": error.next}
    return error.kind, msgspec.json.encode(text).decode()


def decode_error(name: str, text: str) -> ApplianceError:
    """The error that the other end encoded; one of an unknown kind becomes an EngineError."""
    try:
        labelled = decode(text, dict[str, str])
    except msgspec.DecodeError:
        labelled = {"what": text}
    return _ERRORS.get(name, EngineError)(
        labelled.get("what") or f"The node reported {name}.",
        where=labelled.get("where", ""),
        why=labelled.get("why", ""),
        next=labelled.get("next", ""),
    )
