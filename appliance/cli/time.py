"""`appliance time ...`: whom the cluster's clocks follow."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show


@click.group("time")
def command() -> None:
    """Say which time servers of the site the cluster follows."""


@command.group("servers")
def servers() -> None:
    """The time servers outside the cluster, which the managers follow."""


@servers.command("ls")
@format_option
@root_option
def list_servers(output: Format, root: Path) -> None:
    """List the site's time servers."""
    _print(Client(root).get("time-servers"), output)


@servers.command("set")
@click.argument("given", metavar="[SERVER]...", nargs=-1)
@format_option
@root_option
def set_servers(given: tuple[str, ...], output: Format, root: Path) -> None:
    """Follow these servers and no others; without any, the managers keep the time by themselves."""
    _print(Client(root).post("time-servers", body={"servers": list(given)}), output)


def _print(found: dict[str, list[str]], output: Format) -> None:
    if output != "table":
        show(found, output)
        return
    for server in found["servers"]:
        click.echo(server)
    if not found["servers"]:
        click.echo("The managers follow no server of the site.", err=True)
