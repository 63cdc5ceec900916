"""`appliance ps [SERVICE]`: instances, where they are and how they do."""

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table

_COLOURS = {
    "running": "green",
    "succeeded": "green",
    "backoff": "red",
    "failed": "red",
    "unreachable": "red",
    "pending": "yellow",
    "waiting": "yellow",
    "stopped": "cyan",
}


@click.command("ps")
@click.argument("service", required=False, default="")
@format_option
@root_option
def command(service: str, output: Format, root: Path) -> None:
    """List instances, of one SERVICE or of all ("system": the sidecars)."""
    rows = Client(root).get("ps", **({"service": service} if service else {}))
    if output == "table":
        print_instances(rows)
    else:
        show(rows, output)


def print_instances(rows: list[dict[str, Any]]) -> None:
    headings = ["INSTANCE", "NODE", "STATE", "READY", "IP", "VIRTUAL", "RESTARTS", "REVISION", "MESSAGE"]
    cells = [
        [
            row["instance"],
            row["node"],
            click.style(row["state"], fg=_COLOURS.get(row["state"])),
            "yes" if row["ready"] else "no",
            row["ip"],
            row.get("virtual", ""),
            str(row["restarts"]),
            str(row["revision"]),
            row["message"],
        ]
        for row in rows
    ]
    show_table(headings, cells, empty="There are no instances.")
