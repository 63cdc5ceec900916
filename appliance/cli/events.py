"""`appliance events [SUBJECT] [-f]`: what happened in the cluster."""

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time


@click.command("events")
@click.argument("subject", required=False, default="")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option("--last", type=click.IntRange(1, 5000), default=50, help="Begin with so many of the newest (50).")
@format_option
@root_option
def command(subject: str, follow: bool, last: int, output: Format, root: Path) -> None:
    """Show what happened: of all, or of SUBJECT (a service, deploy, instance, job or node)."""
    client = Client(root)
    about = {"subject": subject} if subject else {}
    found = client.get("events", last=str(last), **about)
    if not follow:
        if output == "table":
            show_table(["TIME", "SUBJECT", "WHAT", "NODE"], [_cells(one) for one in found["events"]], empty="Nothing.")
        else:
            show(found["events"], output)
        return
    while True:
        for event in found["events"]:
            click.echo("  ".join(filter(None, _cells(event))) if output == "table" else _line(event))
        found = client.get("events", after=str(found["after"]), timeout="25", **about)


def _cells(event: dict[str, Any]) -> list[str]:
    message = click.style(event["message"], fg="yellow") if event["level"] == "warning" else event["message"]
    return [local_time(event["at"]), event["subject"], message, event["node"]]


def _line(event: dict[str, Any]) -> str:
    """One event a line, so that a program that follows can read it at once."""
    import json

    return json.dumps(event, ensure_ascii=False)
