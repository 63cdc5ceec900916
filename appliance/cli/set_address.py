"""`appliance node set-address NODE ADDRESS`, and `appliance set-address ADDRESS` on a node that nobody reaches."""

from pathlib import Path

import click
import msgspec

from appliance.cli.client import Client
from appliance.cli.node_options import layout_of, root_option
from appliance.cli.output import Format, format_option, show
from appliance.errors import UsageError


@click.command("set-address")
@click.argument("node")
@click.argument("address")
@format_option
@root_option
def of_node(node: str, address: str, output: Format, root: Path) -> None:
    """Say by which address a node is reached from now on; the node follows as soon as its host has it."""
    row = Client(root).post("nodes", node, "address", body={"address": address})
    if output == "table":
        click.echo(f"{row['name']}: is at {row['address']}; the node follows when its host has that address")
    else:
        show(row, output)


@click.command("set-address")
@click.argument("address")
@click.option("--manager", "managers", multiple=True, metavar="IP", help="Where a manager is now; may be repeated.")
@click.option("--agent", is_flag=True, help="A manager: be an agent of --manager, which went on without this one.")
@root_option
def command(address: str, managers: tuple[str, ...], agent: bool, root: Path) -> None:
    """Say on this node which address its host has now; for a node that no manager reaches any more."""
    from appliance.delivery.journal import record
    from appliance.delivery.node_files import read_identity, write_identity
    from appliance.host.interfaces import choose_address
    from appliance.model.cluster import LINK_PORT
    from appliance.model.identity import moved

    layout = layout_of(root)
    identity = read_identity(layout)
    if managers and "manager" in identity.roles and not agent:
        raise UsageError("This node is a manager itself.", next="leave --manager out")
    if agent and not managers:
        raise UsageError("--agent does not say of whom.", next="name the manager that went on: --manager IP")
    ports = tuple(f"{choose_ipv4(manager)}:{LINK_PORT}" for manager in managers)
    wanted = moved(identity, choose_address(address), ports)
    if agent:  # what only a manager has goes when `run` sees that
        wanted = msgspec.structs.replace(wanted, roles=("agent",))
    write_identity(layout, wanted)
    record(layout, f"address set to {address}")
    click.echo(f"This node is at {address}; its processes take that up within seconds, containers notice nothing.")
    if identity.dial == "manager":
        click.echo(f"Say it on a manager, too: appliance node set-address {identity.name} {address}")


def choose_ipv4(text: str) -> str:
    """Raises UsageError for what is no IPv4 address."""
    import ipaddress

    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no address of a host.", why="an IPv4 address is needed") from error
