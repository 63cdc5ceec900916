"""`appliance certificate ...`: what proves who is who in the cluster, and until when."""

import contextlib
import time
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client, Duration
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time
from appliance.errors import LinkDown, Unavailable, UsageError, WaitExpired

_COLOURS = {"valid": "green", "late": "yellow", "expired": "red"}


@click.group("certificate")
def command() -> None:
    """List certificates, revoke stolen keys, replace the authorities."""


@command.command("ls")
@format_option
@root_option
def list_certificates(output: Format, root: Path) -> None:
    """List all certificates, those that end first on top, and when each is renewed."""
    rows = Client(root).get("certificates")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            row["kind"],
            row["of"],
            row["for"],
            local_time(row["valid_until"]),
            local_time(row["renews_at"]) or "by hand",
            click.style(row["state"], fg=_COLOURS[row["state"]]),
        ]
        for row in rows
    ]
    show_table(["KIND", "OF", "FOR", "VALID UNTIL", "RENEWS AT", "STATE"], cells)


@command.command("revoke")
@click.argument("node")
@click.option("--yes", is_flag=True, help="Never ask.")
@format_option
@root_option
def revoke(node: str, yes: bool, output: Format, root: Path) -> None:
    """Let the keys of NODE in no more, anywhere: its disk was stolen, or somebody has read it."""
    if not yes:
        click.confirm(f"Cut {node} off for good? It has to be joined anew afterwards.", abort=True, err=True)
    result = Client(root).post("certificates", "revoke", body={"node": node})
    if output != "table":
        show(result, output)
        return
    click.echo(f"{result['node']}: {len(result['revoked'])} keys are revoked, no manager and no node lets them in")
    click.echo("what it runs goes on there; switch it off, then see: appliance docs certificates", err=True)


@command.command("rotate")
@click.option("--finish", is_flag=True, help="Forget the old authorities; refused while anybody needs them.")
@click.option("--show", "only_show", is_flag=True, help="Only say how far it is.")
@click.option("--wait", "waits", is_flag=True, help="Wait until nothing is left to do in this step.")
@click.option("--timeout", type=Duration(), default=300.0, help="For --wait.  [default: 5m]")
@format_option
@root_option
def rotate(finish: bool, only_show: bool, waits: bool, timeout: float, output: Format, root: Path) -> None:
    """Replace the authorities that sign all certificates, while everything goes on."""
    client = Client(root)
    if finish and only_show:
        raise UsageError("--finish and --show do not go together.", next="leave one of them out")
    address = ("certificates", "rotation")
    result = client.get(*address) if only_show else client.post(*address, body={"finish": finish})
    if waits:
        result = _await_step(client, timeout, "" if finish else "signing", result)
    if output != "table":
        show(result, output)
        return
    click.echo(_STEPS[result["step"]])
    for sentence in result["waits_for"]:
        click.echo(f"  waits: {sentence}")
    for token in result["tokens"]:
        click.echo(f"  the join token {token} becomes worthless; make a new one afterwards")


_STEPS = {
    "": "the authorities are not being replaced",
    "spreading": "all nodes learn to believe the new authorities; these sign as soon as all have",
    "signing": "the new authorities sign; when nothing waits any more: appliance certificate rotate --finish",
    "dropping": "the old authorities are being forgotten",
}


def _await_step(client: Client, timeout: float, step: str, result: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while result["step"] != step or result["waits_for"]:
        if time.monotonic() > deadline:
            why = "; ".join(result["waits_for"])
            raise WaitExpired("The step is not done yet.", why=why, next="it goes on by itself; look again later")
        time.sleep(0.5)
        with contextlib.suppress(LinkDown, Unavailable):  # etcd is started anew on the way
            result = client.get("certificates", "rotation")
    return result
