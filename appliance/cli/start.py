"""`appliance start INSTANCE`."""

from pathlib import Path

import click

from appliance.cli.instance_change import change_instance
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option
from appliance.cli.wait_options import wait_options


@click.command("start")
@click.argument("instance", metavar="INSTANCE")
@wait_options
@format_option
@root_option
def command(instance: str, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Start an instance that was stopped, where it was."""
    change_instance(root, instance, "start", wait=wait, timeout=timeout, output=output)
