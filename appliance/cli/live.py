"""The command line's end of the manager's WebSockets."""

import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from appliance.cli.client import ApiProblem, Client
from appliance.errors import LinkDown, NotPermitted


@contextlib.asynccontextmanager
async def live(client: Client, path: str) -> AsyncIterator[ClientConnection]:
    """A connection to /ws/...; raises LinkDown when no manager listens, or when it goes away."""
    try:
        async with unix_connect(
            str(client.live_socket), uri=f"ws://localhost{path}", max_size=None, compression=None
        ) as connection:
            yield connection
    except PermissionError as error:
        raise NotPermitted("Only root may use this node's manager directly.", next="run it with sudo") from error
    except (OSError, InvalidHandshake) as error:
        raise client.not_running(error) from error
    except ConnectionClosed as error:
        raise LinkDown("The connection to the manager ended.", why=str(error), next="try again") from error


async def copy_output(connection: ClientConnection) -> dict[str, Any]:
    """Write binary frames to stdout and stderr until the closing message, and return that; raises ApiProblem."""
    async for message in connection:
        if isinstance(message, bytes):
            write_all((sys.stderr if message[0] == 2 else sys.stdout).fileno(), message[1:])
            continue
        said: dict[str, Any] = json.loads(message)
        if "error" in said:
            raise ApiProblem(said["error"])
        return said
    raise LinkDown("The connection to the manager ended.", next="try again; the node's own work goes on")


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
