"""`appliance history SERVICE`."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table


@click.command("history")
@click.argument("service")
@format_option
@root_option
def command(service: str, output: Format, root: Path) -> None:
    """List the revisions of a service; the current one has a star."""
    rows = Client(root).get("services", service, "history")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [f"{row['revision']}{'*' if row['current'] else ''}", row["created_at"], row["author"], row["message"]]
        for row in rows
    ]
    show_table(["REVISION", "CREATED", "AUTHOR", "MESSAGE"], cells)
