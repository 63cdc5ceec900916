"""What `restart`, `start` and `stop` of one instance have in common."""

from pathlib import Path
from typing import Literal

import click

from appliance.cli.client import Client, wait_until_done
from appliance.cli.output import Format, show
from appliance.errors import UsageError

_DONE = {"restart": "restarting", "start": "starting", "stop": "stopping"}


def change_instance(
    root: Path,
    instance: str,
    action: Literal["restart", "start", "stop"],
    *,
    wait: bool,
    timeout: float,
    output: Format,
) -> None:
    service, slash, name = instance.partition("/")
    if not slash or not service or not name or "/" in name:
        raise UsageError(f"{instance!r} is not an instance.", next="for example: shop/web-0; see: appliance ps")
    client = Client(root)
    result = client.post("instances", service, name, action)
    if wait:
        wait_until_done(client, service, timeout)
    if output == "table":
        click.echo(f"{instance}: {_DONE[action]}")
    else:
        show(result, output)
