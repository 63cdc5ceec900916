"""`appliance why THING`: in sentences, why something is as it is."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show


@click.command("why")
@click.argument("thing", metavar="SERVICE|INSTANCE|JOB|NODE")
@format_option
@root_option
def command(thing: str, output: Format, root: Path) -> None:
    """Explain the state of a service, an instance, a job or a node."""
    result = Client(root).get("why", thing)
    if output == "table":
        for reason in result["reasons"]:
            click.echo(reason)
        for row in result["nodes"]:
            click.echo(f"  {row['node']} {row['reason']}")
        click.echo(f"next: {result['next']}")
        click.echo(f"docs: appliance docs {result['page']}")
    else:
        show(result, output)
