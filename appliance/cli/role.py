"""`appliance role agent|manager`: one role in the foreground; started by `appliance run` only."""

import faulthandler
from pathlib import Path

import click

from appliance.cli.node_options import layout_of, log_to_stderr, root_option
from appliance.delivery.node_files import read_identity


@click.command("role", hidden=True)
@click.argument("role", type=click.Choice(["agent", "manager"]))
@root_option
def command(role: str, root: Path) -> None:
    """Run one role in the foreground."""
    layout = layout_of(root)
    log_to_stderr()
    faulthandler.enable()  # where each thread was is in the log when a library crashes
    identity = read_identity(layout)
    if role == "agent":
        from appliance.roles.agent import run_agent

        run_agent(layout, identity)
    else:
        from appliance.roles.manager import run_manager

        run_manager(layout, identity)
