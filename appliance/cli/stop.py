"""`appliance stop [SERVICE|INSTANCE]`: stop that, or, without one, this node's own processes."""

from pathlib import Path

import click

from appliance.cli.here import here_option
from appliance.cli.instance_change import change
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option
from appliance.cli.wait_options import wait_options


@click.command("stop")
@click.argument("thing", metavar="[SERVICE|INSTANCE]", required=False, default="")
@wait_options
@here_option
@format_option
@root_option
def command(thing: str, wait: bool, timeout: float, here: bool, output: Format, root: Path) -> None:
    """Stop a service (highest rank first) or an instance; without one, this node's own processes (containers go on)."""
    if thing:
        change(root, thing, "stop", wait=wait, timeout=timeout, here=here, output=output)
        return
    from appliance.cli.node_control import stop_node

    stop_node(root)
