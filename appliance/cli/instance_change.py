"""What `restart`, `start` and `stop` of an instance or a whole service have in common."""

from pathlib import Path
from typing import Literal

import click

from appliance.cli.client import Client
from appliance.cli.output import Format, show
from appliance.cli.waiting import wait_until_done
from appliance.errors import UsageError

_DONE = {"restart": "restarting", "start": "starting", "stop": "stopping"}


def change(
    root: Path,
    thing: str,
    action: Literal["restart", "start", "stop"],
    *,
    wait: bool,
    timeout: float,
    output: Format,
) -> None:
    """`thing` without a slash is a service."""
    client = Client(root)
    if "/" in thing:
        service, name = split_instance(thing)
        result = client.post("instances", service, name, action)
    else:
        service = thing
        result = client.post("services", service, action)
    if wait:
        wait_until_done(client, service, timeout)
    if output == "table":
        click.echo(f"{thing}: {_DONE[action]}")
    else:
        show(result, output)


def split_instance(instance: str) -> tuple[str, str]:
    """Service and the rest of the name; raises UsageError for what is no instance's name."""
    service, slash, name = instance.partition("/")
    if not slash or not service or not name or "/" in name:
        raise UsageError(f"{instance!r} is not an instance.", next="for example: shop/web-0; see: appliance ps")
    return service, name
