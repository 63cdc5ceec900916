"""`appliance history SERVICE [--show N]`."""

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time
from appliance.errors import NotFound


@click.command("history")
@click.argument("service")
@click.option("--show", "number", type=click.IntRange(min=1), help="Print the file of this revision.")
@format_option
@root_option
def command(service: str, number: int | None, output: Format, root: Path) -> None:
    """List the revisions of a service; the current one has a star."""
    client = Client(root)
    if number is not None:
        _show_revision(client.get("services", service, "revisions", str(number)), output)
        return
    rows = client.get("services", service, "history")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            f"{row['revision']}{'*' if row['current'] else ''}",
            state_of(row),
            local_time(row["created_at"]),
            row["author"],
            row["message"],
        ]
        for row in rows
    ]
    show_table(["REVISION", "STATE", "CREATED", "AUTHOR", "MESSAGE"], cells)


def state_of(row: dict[str, Any]) -> str:
    """``failed: REASON``, ``done, in effect``: what is known of one revision."""
    known = f"{row['state']}: {row['reason']}" if row["reason"] else str(row["state"])
    return ", ".join(part for part in (known, "in effect" if row["in_effect"] else "") if part)


def _show_revision(revision: dict[str, Any], output: Format) -> None:
    if output != "table":
        show(revision, output)
        return
    if not revision["source"]:
        raise NotFound(
            f"Revision {revision['number']} was made by a release that did not keep the file.",
            next="see what it was read as, with -o yaml",
        )
    click.echo(revision["source"], nl=not revision["source"].endswith("\n"))
