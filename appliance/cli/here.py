"""A node's own answers: what its agent says where no manager answers, or where a person asks for it with `--here`."""

import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from appliance.cli.client import ApiProblem, Client, NobodyListens
from appliance.errors import LinkDown, NotPermitted
from appliance.host.layout import Layout
from appliance.terminal.frames import HEADER, Frame, length_of, packed, unpacked

PATIENCE = 60.0
"""Seconds an answer may take."""


def here_option[F: Callable[..., Any]](function: F) -> F:
    """Adds `--here`, passed as `here`."""
    return click.option("--here", is_flag=True, help="Ask this node itself, although a manager may answer.")(function)


def answer(root: Path, request: dict[str, Any], ask: Callable[[Client], Any], *, here: bool) -> Any:
    """What a manager says to `ask`; where none listens, or with `here`, what this node says to `request`."""
    if here:
        return ask_node(root, request)
    try:
        return ask(Client(root))
    except NobodyListens as nobody:
        if not Layout(root.resolve()).agent_socket.exists():
            raise
        return ask_node(root, request, nobody)


def ask_node(
    root: Path, request: dict[str, Any], nobody: NobodyListens | None = None, *, quiet: bool = False
) -> dict[str, Any]:
    """The agent's answer to one request; `nobody`: what to raise where it does not answer either.

    Unless `quiet`, it is said on stderr whose answer it is.
    """
    with _errors(root, nobody), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(Layout(root.resolve()).agent_socket))
        connection.sendall(packed(json.dumps(request)))
        with connection.makefile("rb") as file:
            greeting = _said(_read(file))
            if not quiet:
                _say_who(greeting)
            return _said(_read(file))


class NodeWire:
    """Frames to and from the agent, as the WebSocket of a manager would carry them."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, frame: Frame) -> None:
        with contextlib.suppress(ConnectionError):  # why it has gone, `receive` says
            self._writer.write(packed(frame))
            await self._writer.drain()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while (frame := await self.receive()) is not None:
            yield frame

    async def receive(self) -> Frame | None:
        """None at the end."""
        import asyncio

        try:
            kind, length = length_of(await self._reader.readexactly(HEADER.size))
            return unpacked(kind, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


@contextlib.asynccontextmanager
async def node_wire(
    root: Path, request: dict[str, Any], nobody: NobodyListens | None = None
) -> AsyncIterator[NodeWire]:
    """A conversation with the agent that begins with `request`."""
    import asyncio

    with _errors(root, nobody):
        reader, writer = await asyncio.open_unix_connection(str(Layout(root.resolve()).agent_socket))
    try:
        wire = NodeWire(reader, writer)
        await wire.send(json.dumps(request))
        _say_who(_said(await wire.receive()))
        yield wire
    finally:
        writer.close()


def who() -> str:
    """The person at this terminal, as the records name them."""
    return os.environ.get("SUDO_USER") or "root"


@contextlib.contextmanager
def _errors(root: Path, nobody: NobodyListens | None) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise NotPermitted("Only root may ask this node itself.", next="run it with sudo") from error
    except OSError as error:
        raise nobody or LinkDown(
            "The agent of this node does not answer.",
            where=str(Layout(root.resolve()).agent_socket),
            why=str(error) or type(error).__name__,
            next="see `appliance status`",
        ) from error


def _read(file: BinaryIO) -> Frame | None:
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, length = length_of(header)
    return unpacked(kind, file.read(length))


def _said(frame: Frame | None) -> dict[str, Any]:
    """What a text frame says; raises ApiProblem for an error, and LinkDown where there is none."""
    if not isinstance(frame, str):
        raise LinkDown("The agent of this node ended the conversation.", next="look into its log: agent.log")
    said: dict[str, Any] = json.loads(frame)
    if "error" in said:
        raise ApiProblem(said["error"])
    return said


def _say_who(said: dict[str, Any]) -> None:
    reached = f"connected to manager {said['manager']}" if said["manager"] else "no manager reachable"
    click.echo(f"node {said['node']} answers by itself: {reached}", err=True)
