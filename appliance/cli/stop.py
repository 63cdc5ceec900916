"""`appliance stop [INSTANCE]`: stop an instance, or, without one, this node's own processes."""

from pathlib import Path

import click

from appliance.cli.instance_change import change_instance
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option
from appliance.cli.wait_options import wait_options


@click.command("stop")
@click.argument("instance", metavar="[INSTANCE]", required=False, default="")
@wait_options
@format_option
@root_option
def command(instance: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Stop INSTANCE; without it, stop this node's own processes (containers go on)."""
    if instance:
        change_instance(root, instance, "stop", wait=wait, timeout=timeout, output=output)
        return
    from appliance.cli.node_control import stop_node

    stop_node(root)
