"""`appliance vip ...`: addresses that move between the nodes which serve the entry."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table


@click.group("vip")
def command() -> None:
    """Add, list and remove virtual addresses."""


@command.command("add")
@click.argument("address", metavar="IP/LEN")
@click.option("--for", "services", multiple=True, metavar="SERVICE", help="What it is meant for; may be repeated.")
@click.option("--interface", default="", help="Interface that it goes on, if the nodes are not to find it themselves.")
@format_option
@root_option
def add(address: str, services: tuple[str, ...], interface: str, output: Format, root: Path) -> None:
    """Give the entry a further address, which one of its nodes holds at any time."""
    row = Client(root).post("vips", body={"address": address, "services": services, "interface": interface})
    if output != "table":
        show(row, output)
    elif row["preferred"]:
        click.echo(f"{row['address']}: {row['preferred']} is to hold it, of {len(row['candidates'])} that may")
    else:
        click.echo(f"{row['address']}: no node serves the entry yet")


@command.command("ls")
@format_option
@root_option
def list_vips(output: Format, root: Path) -> None:
    """List the virtual addresses, who may hold each and who does."""
    rows = Client(root).get("vips")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            f"{row['address']}/{row['length']}",
            "the cluster" if row["front"] == "manager" else "the entry",
            row["state"],
            ", ".join(row["owners"]),
            ", ".join(row["candidates"]),
            ", ".join(row["services"]),
        ]
        for row in rows
    ]
    heads = ["ADDRESS", "LEADS TO", "STATE", "ON", "MAY BE ON", "FOR"]
    show_table(heads, cells, empty="There are no virtual addresses.")


@command.command("rm")
@click.argument("address", metavar="IP")
@format_option
@root_option
def remove(address: str, output: Format, root: Path) -> None:
    """Take an address of the entry away."""
    result = Client(root).delete("vips", address.partition("/")[0])
    if output == "table":
        click.echo(f"{result['address']}: removed")
    else:
        show(result, output)
