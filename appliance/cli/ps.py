"""`appliance ps [SERVICE]`: instances, where they are and how they do."""

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.here import answer, here_option
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
@here_option
@format_option
@root_option
def command(service: str, here: bool, output: Format, root: Path) -> None:
    """List instances, of one SERVICE or of all ("system": the sidecars)."""

    def ask(client: Client) -> Any:
        return client.get("ps", **({"service": service} if service else {}))

    said = answer(root, {"type": "state"}, ask, here=here)
    rows = said if isinstance(said, list) else instances_of(said, service)
    if output == "table":
        print_instances(rows)
    else:
        show(rows, output)


def instances_of(seen: dict[str, Any], service: str) -> list[dict[str, Any]]:
    """Of what an agent knows: the instances of one service, or of all but the system's own.

    Those of which it knows no more than that they are there are named on stderr.
    """
    for name in seen["damaged"]:
        click.echo(
            f"{name}: its assignment is damaged; what runs of it is left alone until a manager sends it", err=True
        )
    rows: list[dict[str, Any]] = seen["instances"]
    return [row for row in rows if (row["service"] == service if service else row["service"] != "system")]


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
