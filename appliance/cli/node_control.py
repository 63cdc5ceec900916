"""Ending this node's own processes, for the commands that do so."""

from pathlib import Path

import click

from appliance.cli.node_options import layout_of
from appliance.delivery import launch


def stop_node(root: Path) -> None:
    """End `appliance run` and its roles on this node; containers and the engine go on."""
    layout = layout_of(root)
    if launch.stop(layout):
        again = launch.how_to_start(layout)
        click.echo(f"This node's processes have ended; its containers keep running. Start them again: {again}")
    else:
        click.echo("Nothing of this node was running.", err=True)
