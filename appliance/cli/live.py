"""The command line's end of a log or a command: over a manager's WebSocket, or over the agent's own socket."""

import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from appliance.cli.client import ApiProblem, Client, NobodyListens
from appliance.cli.here import node_wire
from appliance.errors import LinkDown, NotPermitted
from appliance.host.layout import Layout


class Connection(Protocol):
    """Text and bytes in both directions."""

    async def send(self, frame: str | bytes, /) -> None: ...

    def __aiter__(self) -> AsyncIterator[str | bytes]: ...


@contextlib.asynccontextmanager
async def live(root: Path, request: dict[str, Any], *, here: bool = False) -> AsyncIterator[Connection]:
    """A log or a command of an instance (`type` "logs" or "exec"), opened; raises LinkDown when who answers goes away.

    Where no manager listens, or with `here`, it is the node's own.
    """
    client = Client(root)
    nobody: NobodyListens | None = None
    if not here:
        try:
            async with _manager(client, request) as connection:
                yield connection
            return
        except NobodyListens as error:
            if not Layout(root.resolve()).agent_socket.exists():
                raise
            nobody = error
    async with node_wire(root, request, nobody) as wire:
        yield wire


@contextlib.asynccontextmanager
async def _manager(client: Client, request: dict[str, Any]) -> AsyncIterator[Connection]:
    from websockets.asyncio.client import unix_connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake

    query = {
        key: str(int(value) if isinstance(value, bool) else value) for key, value in request.items() if key != "type"
    }
    path = f"/ws/logs?{urlencode(query)}" if request["type"] == "logs" else "/ws/exec"
    try:
        async with unix_connect(
            str(client.live_socket), uri=f"ws://localhost{path}", max_size=None, compression=None
        ) as connection:
            if request["type"] == "exec":
                await connection.send(json.dumps(request))
            yield connection
    except PermissionError as error:
        raise NotPermitted("Only root may use this node's manager directly.", next="run it with sudo") from error
    except (OSError, InvalidHandshake) as error:
        raise client.not_running(error) from error
    except ConnectionClosed as error:
        raise LinkDown("The connection to the manager ended.", why=str(error), next="try again") from error


async def copy_output(connection: Connection) -> dict[str, Any]:
    """Write binary frames to stdout and stderr until the closing message, and return that; raises ApiProblem."""
    async for message in connection:
        if isinstance(message, bytes):
            write_all((sys.stderr if message[0] == 2 else sys.stdout).fileno(), message[1:])
            continue
        said: dict[str, Any] = json.loads(message)
        if "error" in said:
            raise ApiProblem(said["error"])
        return said
    raise LinkDown("The connection ended before the answer did.", next="try again; the node's own work goes on")


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
