"""`appliance status`: the cluster as this node sees it."""

import json
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.ps import print_instances
from appliance.cli.times import local_time
from appliance.errors import LinkDown, LocalStateDamaged
from appliance.host.layout import Layout

_COLOURS = {"healthy": "green", "ready": "green", "degraded": "yellow", "unreachable": "red", "joining": "yellow"}


@click.command("status")
@format_option
@root_option
def command(output: Format, root: Path) -> None:
    """Show the cluster; on a node without a manager, what its agent knows."""
    try:
        status = Client(root).get("status")
    except LinkDown as down:
        seen = agent_status(Layout(root.resolve()))
        if seen is None:
            raise _nothing_runs(down) from down
        _print_agent(seen) if output == "table" else show(seen, output)
        return
    _print_cluster(status) if output == "table" else show(status, output)


def agent_status(layout: Layout) -> dict[str, Any] | None:
    """What this node's agent last wrote; None when it has not run since the node started."""
    try:
        seen = json.loads(layout.agent_status.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LocalStateDamaged("The agent's status file does not parse.", where=str(layout.agent_status)) from error
    assert isinstance(seen, dict)
    return seen


def _nothing_runs(down: LinkDown) -> LinkDown:
    return LinkDown(
        "The appliance does not run on this node.",
        where=down.where,
        why="neither a manager nor an agent answers",
        next="start it: `appliance run` (or systemctl start appliance); on a new host: `appliance up`",
    )


def _print_cluster(status: dict[str, Any]) -> None:
    cluster = status["cluster"]
    state = click.style(cluster["state"], fg=_COLOURS.get(cluster["state"]))
    click.echo(f"cluster {cluster['name']} is {state}, release {cluster['version']}, {cluster['url']}")
    if cluster["held"]:
        click.secho("restored, and nothing is ordered yet: see appliance backup adopt", fg="yellow")
    for manager in status["managers"]:
        leads = ", leader" if manager["leader"] else ""
        gone = "" if manager["alive"] else ", does not run"
        click.echo(f"manager {manager['node']}{leads}{gone}, etcd {manager['etcd']}")
    if cluster["advice"]:
        click.secho(cluster["advice"], fg="yellow")
    for complaint in status["store"]["complaints"]:
        click.secho(f"{complaint['what']} To do: {complaint['next']}; see: appliance docs etcd", fg="red")
    _print_certificates(status["certificates"])
    for backups in status["backups"]:
        for trouble in filter(None, (backups["trouble"], backups["rehearsal_trouble"])):
            click.echo(click.style(f"backups of {backups['node']}: {trouble}", fg="red"))
    click.echo()
    rows = [
        [
            node["name"],
            node["address"],
            ",".join(node["roles"]),
            click.style(node["state"], fg=_COLOURS.get(node["state"])),
            node["version"],
            node["message"],
        ]
        for node in status["nodes"]
    ]
    show_table(["NODE", "ADDRESS", "ROLES", "STATE", "RELEASE", "MESSAGE"], rows)


def _print_certificates(certificates: dict[str, Any]) -> None:
    first = certificates["next"]
    renews = f"is renewed {local_time(first['renews_at'])}" if first["renews_at"] else "is renewed by hand"
    click.echo(f"certificates: the next to end, {first['kind']} of {first['of']}, {renews}")
    for row in certificates["late"]:
        ends = "has ended" if row["state"] == "expired" else "ends"
        late = f"certificate {row['kind']} of {row['of']} {ends} {local_time(row['valid_until'])} and was not renewed"
        click.secho(f"{late}; see: appliance docs certificates", fg="yellow")


def _print_agent(seen: dict[str, Any]) -> None:
    link = "connected" if seen.get("connected") else "not connected"
    click.echo(
        f"node {seen.get('name')}, release {seen.get('version')}, {link} to {seen.get('manager') or 'a manager'}"
    )
    for said in seen.get("turned_away", []):
        click.secho(f"turned away by manager {said['manager']}: {said['what']}", fg="red")
        click.echo(f"  why: {said['why']}\n  next: {said['next']}")
    click.echo()
    print_instances(seen.get("instances", []))
