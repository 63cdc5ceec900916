"""`appliance node cordon|uncordon|drain|evict|reserve`: whether, and how much, a node serves the cluster."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.errors import UsageError, WaitExpired

_LOOK_AGAIN = 0.5

_EVICTION = """\
Evicting {node} starts its instances on other nodes, without knowing whether they still run on {node}.
Data on its disks stays there; instances with volumes start empty elsewhere. Runs of `once` jobs are not repeated.
Do it only when {node} is off or cut off for certain. If it comes back, it first stops all that was placed elsewhere,
and it takes nothing new until `appliance node uncordon {node}`.
"""


@click.command("cordon")
@click.argument("node")
@format_option
@root_option
def cordon(node: str, output: Format, root: Path) -> None:
    """Place nothing new on a node."""
    _say(Client(root).post("nodes", node, "cordon"), "is cordoned; what runs there stays", output)


@click.command("uncordon")
@click.argument("node")
@format_option
@root_option
def uncordon(node: str, output: Format, root: Path) -> None:
    """Let a node take new instances again; ends a drain and an eviction."""
    _say(Client(root).post("nodes", node, "uncordon"), "takes instances again", output)


@click.command("drain")
@click.argument("node")
@wait_options
@format_option
@root_option
def drain(node: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Move a node's instances to other nodes, a few of each deploy at a time."""
    client = Client(root)
    client.post("nodes", node, "drain")
    found = _wait_until_empty(client, node, timeout) if wait else client.get("nodes", node, "drain")
    if output != "table":
        show(found, output)
        return
    left = len(found["left"])
    click.echo(f"{node}: {left} still to move" if left else f"{node}: drained")
    for name, reason in found["staying"].items():
        click.echo(f"  {name} stays. {reason}")


@click.command("evict")
@click.argument("node")
@click.option("--fenced", is_flag=True, help="The node is switched off, or nothing of it can be reached any more.")
@click.option("--yes", is_flag=True, help="Never ask.")
@format_option
@root_option
def evict(node: str, fenced: bool, yes: bool, output: Format, root: Path) -> None:
    """Start the instances of an unreachable node elsewhere; only for a node that is off for certain."""
    client = Client(root)
    name = client.get("nodes", node)["name"]
    if fenced and not yes:
        _confirm(name)
    _say(client.post("nodes", node, "evict", body={"fenced": fenced}), "is evicted", output)


@click.command("reserve")
@click.argument("node")
@click.option("--cpu", default="", metavar="CORES", help="Such as 500m or 2.")
@click.option("--memory", default="", metavar="SIZE", help="Such as 1Gi.")
@click.option("--default", "usual", is_flag=True, help="The usual share of what is not named beside it.")
@format_option
@root_option
def reserve(node: str, cpu: str, memory: str, usual: bool, output: Format, root: Path) -> None:
    """Keep processors and memory of a node for the node itself."""
    row = Client(root).post("nodes", node, "reserve", body=parse_share(cpu, memory, usual))
    _say(row, "keeps what was said for itself", output)


def parse_share(cpu: str, memory: str, usual: bool) -> dict[str, Any]:
    """Raises UsageError for what is no amount, and when nothing is given."""
    from appliance.spec import quantities

    if not (cpu or memory or usual):
        raise UsageError("Nothing to keep is named.", next="give --cpu, --memory or --default")
    try:
        return {
            "cpu": quantities.cpu(cpu) if cpu else None,
            "memory": quantities.size(memory) if memory else None,
            "default": usual,
        }
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def _confirm(node: str) -> None:
    """Raises UsageError where nobody can answer, click.Abort for another answer than the node's name."""
    if not sys.stdin.isatty():
        raise UsageError("Evicting a node needs a person's word.", next="run it in a terminal, or add --yes")
    click.echo(_EVICTION.format(node=node), err=True)
    if click.prompt("Type the name of the node to go on", err=True) != node:
        raise click.Abort


def _wait_until_empty(client: Client, node: str, timeout: float) -> dict[str, Any]:
    """Says on stderr how many are left whenever that changes; raises WaitExpired."""
    deadline = time.monotonic() + timeout
    told = -1
    while True:
        found: dict[str, Any] = client.get_until(deadline, "nodes", node, "drain")
        left = found["left"]
        if len(left) != told:
            told = len(left)
            click.echo(f"{node}: {told} instances to move", err=True)
        if not left:
            return found
        if time.monotonic() >= deadline:
            raise WaitExpired(
                f"{node} was not empty within {timeout:g} s; {told} instances are still there.",
                why=", ".join(left[:10]),
                next=f"the drain goes on; look with `appliance why {left[0]}`",
            )
        time.sleep(_LOOK_AGAIN)


def _say(row: dict[str, Any], what: str, output: Format) -> None:
    if output == "table":
        click.echo(f"{row['name']}: {what}")
    else:
        show(row, output)
