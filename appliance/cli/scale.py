"""`appliance scale SERVICE/DEPLOY N`."""

from pathlib import Path

import click

from appliance.cli.client import Client, wait_until_done
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.errors import UsageError


@click.command("scale")
@click.argument("deploy", metavar="SERVICE/DEPLOY")
@click.argument("replicas", type=click.IntRange(min=0))
@wait_options
@format_option
@root_option
def command(deploy: str, replicas: int, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Run so many replicas of a deploy, until the service is applied again."""
    service, slash, name = deploy.partition("/")
    if not slash or not service or not name or "/" in name:
        raise UsageError(f"{deploy!r} is not SERVICE/DEPLOY.", next="for example: appliance scale shop/web 3")
    client = Client(root)
    result = client.post("services", service, "scale", body={"deploy": name, "replicas": replicas})
    if wait:
        wait_until_done(client, service, timeout)
    if output == "table":
        click.echo(f"{deploy}: {replicas} replicas")
    else:
        show(result, output)
