"""`appliance run`: what systemd (or a shell) keeps in the foreground on every node."""

from pathlib import Path

import click

from appliance.cli.node_options import layout_of, log_to_stderr, root_option
from appliance.delivery.node_files import read_identity


@click.command("run")
@root_option
def command(root: Path) -> None:
    """Run this node's processes in the foreground until told to end."""
    from appliance.roles.run import run

    layout = layout_of(root)
    log_to_stderr()
    run(layout, read_identity(layout))
