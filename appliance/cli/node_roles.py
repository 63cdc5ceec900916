"""`appliance node promote|demote`: which nodes are managers."""

import time
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.errors import Unavailable, WaitExpired

_LOOK_AGAIN = 0.5


@click.command("promote")
@click.argument("node")
@wait_options
@format_option
@root_option
def promote(node: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Make a node a manager: it gets the keys and a copy of the store."""
    client = Client(root)
    row = client.post("nodes", node, "promote")
    if wait:
        _await(client, row["name"], {"healthy"}, timeout)
    _say(row, "is a manager" if wait else "becomes a manager; look with `appliance status`", output)


@click.command("demote")
@click.argument("node")
@click.option(
    "--dial",
    type=click.Choice(["agent", "manager"]),
    default="agent",
    show_default=True,
    help="Which side opens the node's links once it is an agent.",
)
@wait_options
@format_option
@root_option
def demote(node: str, dial: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Make a manager an agent only; what runs on it goes on."""
    client = Client(root)
    row = client.post("nodes", node, "demote", body={"dial": dial})
    if wait:
        _await(client, row["name"], {""}, timeout)
    _say(row, "is a manager no more", output)


def _await(client: Client, node: str, wanted: set[str], timeout: float) -> None:
    """Until etcd's state on the node is one of `wanted`, "" : it is no manager. Raises WaitExpired."""
    deadline = time.monotonic() + timeout
    state, told = "unknown", ""
    while True:
        try:
            managers = client.get("status")["managers"]
            state = next((str(each["etcd"]) for each in managers if each["node"] == node), "")
        except Unavailable as away:  # the manager that we ask may be the one that goes
            state = away.what
        if state in wanted:
            return
        if state != told:
            told = state
            click.echo(f"{node}: etcd is {state or 'not there yet'}", err=True)
        if time.monotonic() >= deadline:
            raise WaitExpired(
                f"{node} was not done within {timeout:g} s.",
                why=f"its etcd is {state or 'not there yet'}",
                next="the work goes on; look with `appliance status`",
                page="managers",
            )
        time.sleep(_LOOK_AGAIN)


def _say(row: dict[str, Any], what: str, output: Format) -> None:
    if output == "table":
        click.echo(f"{row['name']}: {what}")
    else:
        show(row, output)
