"""`appliance uninstall`: take the appliance off this host."""

from pathlib import Path

import click

from appliance.cli.down import end_everything
from appliance.cli.node_options import layout_of, root_option
from appliance.cli.starting import tell


@click.command("uninstall")
@click.option("--purge", is_flag=True, help="Remove data and keys as well: the cluster's state, volumes, images.")
@click.option("--yes", is_flag=True, help="Never ask.")
@root_option
def command(purge: bool, yes: bool, root: Path) -> None:
    """End everything and remove the appliance's files; without --purge data and keys stay, for a later `up`."""
    from appliance.delivery.takedown import uninstall

    layout = layout_of(root)
    if not yes:
        what = "and all its data, volumes included, " if purge else ""
        click.confirm(f"Remove the appliance {what}from this host?", abort=True, err=True)
    end_everything(layout)
    removed = uninstall(layout, purge=purge, tell=tell)
    click.echo("Removed." if removed else "There was nothing to remove.")
