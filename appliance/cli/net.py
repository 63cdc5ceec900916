"""`appliance net check`: does the overlay carry everything between all nodes, and if not, what to do."""

import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table


@click.group("net")
def command() -> None:
    """Check the overlay network."""


@command.command("check")
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@format_option
@root_option
def check(nodes: tuple[str, ...], output: Format, root: Path) -> None:
    """Measure the overlay between all nodes, or from and to the NODEs; exits 1 when something is wrong."""
    result = Client(root).post("net", "check", body={"nodes": nodes})
    if output == "table":
        _print(result)
    else:
        show(result, output)
    sys.exit(0 if result["ok"] else 1)


def _print(result: dict[str, Any]) -> None:
    rows = [
        [
            way["source"],
            way["target"],
            click.style("ok", fg="green") if way["ok"] else click.style("trouble", fg="red"),
            f"{way['latency_ms']:.2f} ms" if way["latency_ms"] is not None else "no answer",
            f"{way['size']} of {way['wanted']}",
            way["stream"],
        ]
        for way in result["ways"]
    ]
    if rows:
        show_table(["FROM", "TO", "STATE", "LATENCY", "PACKETS UP TO", "TCP"], rows)
    for silent in result["silent"]:
        click.echo(f"{silent['node']} could not be asked: {silent['why']}")
    told = dict.fromkeys((each["what"], each["next"]) for way in result["ways"] for each in way["troubles"])
    for what, following in told:
        click.echo(f"{what}\n  next: {following}")
