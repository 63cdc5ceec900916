"""`appliance restart SERVICE|INSTANCE`."""

from pathlib import Path

import click

from appliance.cli.here import here_option
from appliance.cli.instance_change import change
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option
from appliance.cli.wait_options import wait_options


@click.command("restart")
@click.argument("thing", metavar="SERVICE|INSTANCE")
@wait_options
@here_option
@format_option
@root_option
def command(thing: str, wait: bool, timeout: float, here: bool, output: Format, root: Path) -> None:
    """Restart an instance, or a whole service rank by rank, where it is."""
    change(root, thing, "restart", wait=wait, timeout=timeout, here=here, output=output)
