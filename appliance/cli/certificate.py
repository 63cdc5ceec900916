"""`appliance certificate ...`: what proves who is who in the cluster, and until when."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time

_COLOURS = {"valid": "green", "late": "yellow", "expired": "red"}


@click.group("certificate")
def command() -> None:
    """List the cluster's certificates, and revoke keys that were stolen."""


@command.command("ls")
@format_option
@root_option
def list_certificates(output: Format, root: Path) -> None:
    """List all certificates, those that end first on top, and when each is renewed."""
    rows = Client(root).get("certificates")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            row["kind"],
            row["of"],
            row["for"],
            local_time(row["valid_until"]),
            local_time(row["renews_at"]) or "by hand",
            click.style(row["state"], fg=_COLOURS[row["state"]]),
        ]
        for row in rows
    ]
    show_table(["KIND", "OF", "FOR", "VALID UNTIL", "RENEWS AT", "STATE"], cells)


@command.command("revoke")
@click.argument("node")
@click.option("--yes", is_flag=True, help="Never ask.")
@format_option
@root_option
def revoke(node: str, yes: bool, output: Format, root: Path) -> None:
    """Let the keys of NODE in no more, anywhere: its disk was stolen, or somebody has read it."""
    if not yes:
        click.confirm(f"Cut {node} off for good? It has to be joined anew afterwards.", abort=True, err=True)
    result = Client(root).post("certificates", "revoke", body={"node": node})
    if output != "table":
        show(result, output)
        return
    click.echo(f"{result['node']}: {len(result['revoked'])} keys are revoked, no manager and no node lets them in")
    click.echo("what it runs goes on there; switch it off, then see: appliance docs certificates", err=True)
