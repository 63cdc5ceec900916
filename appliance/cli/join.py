"""`appliance join TOKEN`: make this host a node of an existing cluster."""

from functools import partial
from pathlib import Path

import click

from appliance.cli import starting
from appliance.cli.client import Client
from appliance.cli.node_options import clock_option, layout_of, root_option, waive_option, waivers
from appliance.cli.output import Format, format_option, show
from appliance.cli.up import checked_name
from appliance.delivery import node_files, pki, preflight
from appliance.delivery.engine_process import find_host_engine
from appliance.delivery.join_client import is_called, join
from appliance.delivery.package import Package
from appliance.errors import ApplianceError, Refused
from appliance.host.interfaces import choose_address, routes
from appliance.host.layout import Layout
from appliance.model.cluster import LINK_PORT
from appliance.model.identity import NodeIdentity
from appliance.model.node import Clock, Dial, Role
from appliance.security.ca import fingerprint
from appliance.security.tokens import ParsedToken, parse_token


@click.command("join")
@click.argument("token")
@click.option("--role", type=click.Choice(["manager", "agent"]), help="What the token has to be for.")
@click.option("--address", help="Address by which other nodes reach this host.")
@click.option("--name", help="Name of this node (default: the host's name).")
@click.option(
    "--dial",
    type=click.Choice(["agent", "manager"]),
    help="Which side opens the connections between this node and its managers (default: as the token says).",
)
@clock_option
@click.option("--yes", is_flag=True, help="Never ask.")
@waive_option
@format_option
@root_option
def command(
    token: str,
    role: Role | None,
    address: str | None,
    name: str | None,
    dial: Dial | None,
    clock: Clock | None,
    yes: bool,
    waive: tuple[str, ...],
    output: Format,
    root: Path,
) -> None:
    """Make this host a node of the cluster that TOKEN is for. Run again, it finishes what was left."""
    layout, parsed = layout_of(root), parse_token(token)
    if role is not None and role != parsed.role:
        raise Refused(
            f"This token is for {'an agent' if parsed.role == 'agent' else 'a manager'}.",
            next=f"make another: appliance token create --role {role}",
        )
    with Package.open() as package, starting.starting(layout):
        starting.check_package(package)
        if node_files.is_node(layout):
            identity = existing(layout, parsed)
            starting.install(layout, package)
        else:
            wished: Dial = dial or ("manager" if parsed.address else "agent")
            identity = _join(layout, package, parsed, address, name, wished, clock, waivers(waive), yes)
        starting.start(layout)
        client = Client(layout.root)
        missing = _missing if parsed.role == "agent" else partial(_missing_of_manager, client)
        starting.wait_until(layout, "This node", missing)
    if output == "table":
        click.secho(f"This host is node {identity.name} of the cluster {identity.cluster_name}.", fg="green", bold=True)
    else:
        show({"node": identity.id, "name": identity.name, "cluster": identity.cluster_name}, output)


def existing(layout: Layout, token: ParsedToken) -> NodeIdentity:
    """This node; raises Refused when it belongs to another cluster, or is an agent and the token would change that."""
    identity = node_files.read_identity(layout)
    if fingerprint(pki.read_authority(layout)) != token.authority:
        raise Refused(
            f"This host is a node of another cluster, {identity.cluster_name}.",
            where=str(layout.node_file),
            next="take it out there (appliance node rm), then here: appliance uninstall --purge, and join again",
        )
    if token.role == "manager" and "manager" not in identity.roles and identity.joined_with != token.id:
        raise Refused(
            f"This host is {identity.name}, an agent of this cluster.",
            where=str(layout.node_file),
            why="a token lets a new host in; it does not make a manager of a node that is there",
            next=f"on a manager: appliance node promote {identity.name}",
            page="managers#add-one",
        )
    return identity


def _join(
    layout: Layout,
    package: Package,
    token: ParsedToken,
    address: str | None,
    name: str | None,
    dial: Dial,
    clock: Clock | None,
    waived: dict[str, str],
    yes: bool,
) -> NodeIdentity:
    engine, chosen = find_host_engine(layout), choose_address(address or token.address or None)
    node_name = checked_name(name or starting.default_name())
    host = preflight.Host(layout=layout, role=token.role, network=None, own_engine=not engine)
    starting.check_host(host, waived)
    if not yes:
        click.confirm(f"Join the cluster at {', '.join(token.managers)} as {node_name}?", abort=True, err=True)
    if is_called(token, dial):
        starting.tell(f"waiting at {chosen}:{LINK_PORT} for a manager to call")
    else:
        starting.tell(f"asking {', '.join(token.managers)} to be let in")
    return join(
        layout,
        token,
        name=node_name,
        name_given=name is not None,
        address=chosen,
        dial=dial,
        engine=engine,
        clock=starting.clock_of(clock),
        tell=starting.tell,
        admitted=lambda: starting.install(layout, package),
        routes=tuple(str(route) for _, route in routes()),
    )


def _missing_of_manager(client: Client, seen: starting.Seen) -> str:
    """As `_missing`, until this node's own manager answers and its etcd has a vote."""
    if not seen or not seen["connected"]:
        return _missing(seen)
    try:
        status = client.get("status")
    except ApplianceError as error:
        return f"the manager ({error.what})"
    name = next((node["name"] for node in status["nodes"] if node["id"] == seen["node"]), "")
    etcd = next((manager["etcd"] for manager in status["managers"] if manager["node"] == name), "healthy")
    return "" if etcd == "healthy" else f"etcd ({etcd})"


def _missing(seen: starting.Seen) -> str:
    if not seen:
        return "the container engine and the agent"
    refused = [said["what"] for said in seen.get("turned_away", [])]
    return "" if seen["connected"] else " ".join(["a connection to the manager", *refused])
