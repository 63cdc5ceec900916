"""`appliance diff FILE...`: what `apply` would change."""

import json
from pathlib import Path

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
    """Show what apply would change, without changing it."""
    client = Client(root)
    found = [client.post("diff", body=wish_of(file, variables)) for file in files]
    if output != "table":
        show(found, output)
        return
    for result in found:
        if not result["changes"]:
            click.echo(f"{result['service']}: no difference from revision {result['revision']}")
            continue
        click.echo(f"{result['service']}: revision {result['revision']} would become:")
        for change in result["changes"]:
            click.echo(f"  {change['path']}: {_text(change['old'])} → {_text(change['new'])}")


def _text(value: object) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)
