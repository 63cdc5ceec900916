"""`appliance diff FILE...`: what `apply` would change."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from appliance.cli.apply import wish_of
from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show


@click.command("diff")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--set", "variables", multiple=True, metavar="NAME=VALUE", help="Give a variable another value.")
@format_option
@root_option
def command(files: tuple[Path, ...], variables: tuple[str, ...], output: Format, root: Path) -> None:
    """Show what apply would change and which instances would restart, without changing anything."""
    client = Client(root)
    found = [client.post("diff", body=wish_of(file, variables)) for file in files]
    if output != "table":
        show(found, output)
        return
    for file, result in zip(files, found, strict=True):
        for line in described(result):
            click.echo(line)
        if result["changes"]:
            given = [word for text in variables for word in ("--set", text)]
            again = shlex.join(["appliance", "apply", str(file), *given, "--index", str(result["index"])])
            click.echo(f"apply with: {again}")


def described(result: dict[str, Any]) -> Iterator[str]:
    """A comparison in lines for people."""
    if not result["changes"]:
        yield f"{result['service']}: no difference from revision {result['against']}"
        return
    yield f"{result['service']}: revision {result['against']} would become:"
    for change in result["changes"]:
        if change["lines"]:
            yield f"  {change['path']}:"
            yield from (f"    {line}" for line in change["lines"])
        else:
            yield f"  {change['path']}: {_text(change['old'])} → {_text(change['new'])}"
    for affected in result["instances"]:
        reasons = f": {', '.join(affected['reasons'])}" if affected["reasons"] else ""
        yield f"{affected['shown']} {_ACTIONS[affected['action']]}{reasons}"
    yield from (f"{job} runs" for job in result["jobs"])
    if not any(affected["action"] == "restart" for affected in result["instances"]):
        yield "no instance restarts"
    yield from (f"note: {note}" for note in result["notes"])


_ACTIONS = {
    "create": "will be created",
    "remove": "will be removed",
    "restart": "restart",
    "update": "go on running with the change",
}


def _text(value: object) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)
