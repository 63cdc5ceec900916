"""`appliance delete SERVICE`."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.cli.waiting import wait_until_done


@click.command("delete")
@click.argument("service")
@wait_options
@format_option
@root_option
def command(service: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Stop and forget a service; volumes marked `keep` stay."""
    client = Client(root)
    result = client.delete("services", service)
    if wait:
        wait_until_done(client, service, timeout)
    if output == "table":
        click.echo(f"{service}: {'deleted' if wait else 'being deleted'}")
    else:
        show(result, output)
