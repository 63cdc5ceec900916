"""`appliance move INSTANCE [--to NODE]`."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.instance_change import split_instance
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.cli.waiting import wait_until_done


@click.command("move")
@click.argument("instance")
@click.option("--to", "node", default="", metavar="NODE", help="The node to move to (default: any other).")
@click.option("--discard-data", is_flag=True, help="Move although its volumes stay behind and it starts without data.")
@wait_options
@format_option
@root_option
def command(
    instance: str, node: str, discard_data: bool, wait: bool, timeout: float, output: Format, root: Path
) -> None:
    """Stop an instance where it is and start it on another node."""
    service, name = split_instance(instance)
    client = Client(root)
    result = client.post("instances", service, name, "move", body={"to": node, "discard_data": discard_data})
    if wait:
        wait_until_done(client, service, timeout)
    if output == "table":
        click.echo(f"{instance}: moving to {result['to'] or 'another node'}")
    else:
        show(result, output)
