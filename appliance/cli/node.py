"""`appliance node ...`."""

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.errors import UsageError


@click.group("node")
def command() -> None:
    """List, label and cordon nodes."""


@command.command("ls")
@format_option
@root_option
def list_nodes(output: Format, root: Path) -> None:
    """List the nodes."""
    rows = Client(root).get("nodes")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            row["name"],
            row["address"],
            ",".join(row["roles"]),
            row["state"] + (", cordoned" if row["cordoned"] else ""),
            f"{row['cpu'] / 1000:g}",
            f"{row['memory'] / 2**30:.1f} GiB",
            ",".join(f"{name}={value}" for name, value in row["labels"].items()),
        ]
        for row in rows
    ]
    show_table(["NODE", "ADDRESS", "ROLES", "STATE", "CPU", "MEMORY", "LABELS"], cells)


@command.command("show")
@click.argument("node")
@format_option
@root_option
def show_node(node: str, output: Format, root: Path) -> None:
    """Show everything known of one node."""
    _print(Client(root).get("nodes", node), output)


@command.command("label")
@click.argument("node")
@click.argument("labels", nargs=-1, required=True, metavar="NAME=VALUE|NAME-...")
@format_option
@root_option
def label(node: str, labels: tuple[str, ...], output: Format, root: Path) -> None:
    """Set labels (NAME=VALUE) and remove them (NAME-)."""
    _print(Client(root).post("nodes", node, "labels", body=parse_labels(labels)), output)


@command.command("cordon")
@click.argument("node")
@format_option
@root_option
def cordon(node: str, output: Format, root: Path) -> None:
    """Place nothing new on a node."""
    _print(Client(root).post("nodes", node, "cordon"), output)


@command.command("uncordon")
@click.argument("node")
@format_option
@root_option
def uncordon(node: str, output: Format, root: Path) -> None:
    """Let a node take new instances again."""
    _print(Client(root).post("nodes", node, "uncordon"), output)


@command.command("rm")
@click.argument("node")
@format_option
@root_option
def remove(node: str, output: Format, root: Path) -> None:
    """Forget a node that is gone for good and holds no instances."""
    result = Client(root).delete("nodes", node)
    if output == "table":
        click.echo(f"{node}: removed")
    else:
        show(result, output)


def parse_labels(given: tuple[str, ...]) -> dict[str, Any]:
    """Raises UsageError for anything that is neither NAME=VALUE nor NAME-."""
    wanted: dict[str, str] = {}
    removed: list[str] = []
    for text in given:
        name, equals, value = text.partition("=")
        if equals and name:
            wanted[name] = value
        elif text.endswith("-") and len(text) > 1:
            removed.append(text[:-1])
        else:
            raise UsageError(f"{text!r} is neither NAME=VALUE nor NAME-.")
    return {"set": wanted, "remove": removed}


def _print(row: dict[str, Any], output: Format) -> None:
    if output != "table":
        show(row, output)
        return
    for name, value in row.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}={text}" for key, text in value.items())
        elif isinstance(value, list):
            value = ", ".join(str(one) for one in value)
        click.echo(f"{name + ':':14}{value}")
