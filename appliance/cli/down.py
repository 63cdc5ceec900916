"""`appliance down`: end everything of the appliance on this node; the data stays."""

from pathlib import Path

import click

from appliance.cli.node_options import layout_of, root_option
from appliance.cli.starting import tell
from appliance.delivery import node_files
from appliance.delivery.journal import record
from appliance.delivery.launch import how_to_start
from appliance.errors import NotFound
from appliance.host.layout import Layout


@click.command("down")
@click.option("--yes", is_flag=True, help="Never ask.")
@root_option
def command(yes: bool, root: Path) -> None:
    """End this node's processes, containers and engine. Data stays; `up` or `run` brings all back."""
    layout = layout_of(root)
    node_files.read_identity(layout)
    if not yes:
        click.confirm("Stop everything that the appliance runs on this node?", abort=True, err=True)
    end_everything(layout)
    record(layout, "down")
    click.echo(f"This node is down; its data is kept. Start it again: {how_to_start(layout)}")


def end_everything(layout: Layout) -> None:
    """Also on a host that never got as far as being a node."""
    from appliance.delivery.package import Package
    from appliance.delivery.runtime import unpack_engine
    from appliance.delivery.takedown import down
    from appliance.engine.docker import DockerEngine
    from appliance.model.directory import Directory
    from appliance.roles.agent import balance_of, overlay_of
    from appliance.roles.vip_sidecar import release_vips

    try:
        identity = node_files.read_identity(layout)
    except NotFound:
        down(layout, "", DockerEngine, lambda: None, tell)
        return

    def remove_overlay() -> None:
        with Package.open() as package:
            overlay = overlay_of(identity, unpack_engine(package))  # from here on programs are the package's
        balance_of(layout, identity, Directory, lambda: None).remove()
        overlay.remove()
        release_vips(layout, identity)

    down(layout, identity.engine, DockerEngine, remove_overlay, tell)
