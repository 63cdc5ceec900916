"""`appliance token ...`: what lets a new host join."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time
from appliance.errors import UsageError


@click.group("token")
def command() -> None:
    """Make, list and revoke join tokens."""


@command.command("create")
@click.option("--role", type=click.Choice(["agent", "manager"]), default="agent", show_default=True)
@click.option(
    "--dial",
    type=click.Choice(["agent", "manager"]),
    default="agent",
    show_default=True,
    help="Which side opens connections; with `manager` the new host is called at --address, also to join.",
)
@click.option("--address", default="", help="Address of the new host, for --dial manager.")
@format_option
@root_option
def create(role: str, dial: str, address: str, output: Format, root: Path) -> None:
    """Make a token; it admits one node within 24 hours and is shown only now."""
    if (dial == "manager") != bool(address):
        raise UsageError("--dial manager and --address belong together.", next="give both, or neither")
    result = Client(root).post("tokens", body={"role": role, "address": address})
    if output != "table":
        show(result, output)
        return
    click.echo("On the new host, as root:")
    click.echo(f"  {result['command']}")
    if address:
        click.echo(f"the managers call {address} until it answers", err=True)
    click.echo(f"valid for one node, until {local_time(result['expires_at'])}", err=True)


@command.command("ls")
@format_option
@root_option
def list_tokens(output: Format, root: Path) -> None:
    """List the tokens, without their secrets."""
    rows = Client(root).get("tokens")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            row["id"],
            row["role"],
            local_time(row["created_at"]),
            local_time(row["expires_at"]),
            row["used_by"],
            row["address"],
        ]
        for row in rows
    ]
    show_table(["TOKEN", "ROLE", "CREATED", "EXPIRES", "USED BY", "ADDRESS"], cells, empty="There are no tokens.")


@command.command("revoke")
@click.argument("token")
@format_option
@root_option
def revoke(token: str, output: Format, root: Path) -> None:
    """Make a token worthless. TOKEN is its id as `ls` shows it."""
    result = Client(root).delete("tokens", token)
    if output == "table":
        click.echo(f"{token}: revoked")
    else:
        show(result, output)
