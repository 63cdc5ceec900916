"""`appliance exec [-it] INSTANCE -- CMD`: a command inside an instance, with a terminal if asked."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.here import here_option
from appliance.cli.node_options import root_option
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.cli.live import Connection


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--interactive", "-i", is_flag=True, help="Pass on what is typed or piped in.")
@click.option("--terminal", "-t", is_flag=True, help="Give the command a terminal.")
@click.option("--container", "-c", default="", help="Which container (default: the first).")
@click.argument("instance")
@click.argument("words", nargs=-1, required=True, metavar="-- CMD...", type=click.UNPROCESSED)
@here_option
@root_option
def command(
    interactive: bool, terminal: bool, container: str, instance: str, words: tuple[str, ...], here: bool, root: Path
) -> None:
    """Run CMD inside INSTANCE and exit with its exit code."""
    words = words[1:] if words[0] == "--" else words
    if not words:
        raise UsageError("There is no command to run.", next=f"appliance exec {instance} -- sh")
    if terminal and not sys.stdin.isatty():
        raise UsageError("-t needs a terminal, and the input is not one.", next="leave -t out")
    wish = {"type": "exec", "instance": instance, "container": container, "command": words, "terminal": terminal}
    if terminal:
        wish["columns"], wish["rows"] = os.get_terminal_size(sys.stdin.fileno())
    with _raw_terminal() if terminal else contextlib.nullcontext():
        code = asyncio.run(_run(root, wish, reads=interactive or terminal, terminal=terminal, here=here))
    sys.exit(code)


async def _run(root: Path, wish: dict[str, object], *, reads: bool, terminal: bool, here: bool) -> int:
    from appliance.cli.live import copy_output, live

    async with live(root, wish, here=here) as connection:
        if not reads:
            await connection.send(json.dumps({"eof": True}))
        if terminal:
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, _send_size, connection)
        typing = asyncio.ensure_future(_copy_input(connection)) if reads else None
        try:
            said = await copy_output(connection)
        finally:
            if typing is not None:
                typing.cancel()
                await asyncio.gather(typing, return_exceptions=True)
    return int(said["exit"])


async def _copy_input(connection: "Connection") -> None:
    """Standard input, piece by piece, none read before the last is on its way."""
    descriptor = sys.stdin.fileno()
    while True:
        await _readable(descriptor)
        data = os.read(descriptor, 32768)
        if not data:
            await connection.send(json.dumps({"eof": True}))
            return
        await connection.send(b"\x00" + data)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        # epoll does not take regular files: they are always readable.
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _send_size(connection: "Connection") -> None:
    columns, rows = os.get_terminal_size(sys.stdin.fileno())
    _sends.add(task := asyncio.ensure_future(connection.send(json.dumps({"rows": rows, "columns": columns}))))
    task.add_done_callback(_sends.discard)


_sends: set["asyncio.Future[None]"] = set()
"""Keeps what `_send_size` started from being collected before it is done."""


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the command as it is; the terminal is put back whatever happens."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
