"""`appliance up`: make this host the first node of a new cluster, or finish what an earlier `up` left."""

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import click

from appliance.cli import starting
from appliance.cli.client import Client, Duration
from appliance.cli.node_options import clock_option, layout_of, root_option, waive_option, waivers
from appliance.cli.output import Format, format_option, show
from appliance.cli.recovery import own_secret
from appliance.delivery import launch, node_files, preflight
from appliance.delivery.engine_process import find_host_engine
from appliance.delivery.package import Package
from appliance.errors import ApplianceError, Refused, UsageError
from appliance.host.interfaces import choose_address, is_local
from appliance.host.layout import Layout
from appliance.model.addresses import parse_network
from appliance.model.certificate import DAY, LONGEST_LIFE, SHORTEST_LIFE, USUAL_LIFE
from appliance.model.identity import NodeIdentity
from appliance.model.node import NODE_NAME, Clock
from appliance.model.time_servers import parse_time_servers
from appliance.model.vip import parse_vip
from appliance.roles.founding import ADMIN, Wish, found, write_sidecars
from appliance.security.recovery_key import recovery_text


@click.command("up")
@click.option("--address", help="Address by which other nodes and people reach this host.")
@click.option("--name", help="Name of this node (default: the host's name).")
@click.option("--cluster", "cluster_name", help="Name of the cluster (default: the node's name).")
@click.option("--network", help=f"Range for instances, a private /16.  [default: {node_files.DEFAULT_NETWORK}]")
@click.option("--ntp", multiple=True, metavar="SERVER", help="A time server of the site; may be given several times.")
@clock_option
@click.option("--vip", metavar="IP/LEN", help="Address of the cluster itself, which one of its managers holds.")
@click.option(
    "--certificate-life",
    type=Duration(),
    default=USUAL_LIFE,
    help="How long certificates are good, e.g. 12h or 30d; they renew themselves.  [default: 90d]",
)
@click.option(
    "--store-quota",
    type=click.IntRange(16, 8192),
    metavar="MIB",
    help="Room that the cluster's state may take on this manager's disk.  [default: 2048]",
)
@click.option("--yes", is_flag=True, help="Never ask.")
@waive_option
@format_option
@root_option
def command(
    address: str | None,
    name: str | None,
    cluster_name: str | None,
    network: str | None,
    ntp: tuple[str, ...],
    clock: Clock | None,
    vip: str | None,
    certificate_life: float,
    store_quota: int | None,
    yes: bool,
    waive: tuple[str, ...],
    output: Format,
    root: Path,
) -> None:
    """Make this host the first node of a new cluster. Run again, it finishes what was left."""
    layout = layout_of(root)
    with Package.open() as package, starting.starting(layout):
        starting.check_package(package)
        if node_files.is_node(layout):
            identity = _existing(layout, address, name, network, vip)
            starting.install(layout, package)
            if not launch.running(layout):  # a running agent keeps its own copy of them
                write_sidecars(layout, identity, package)
        else:
            servers = parse_time_servers(ntp)
            life = checked_life(certificate_life)
            _found(
                layout,
                package,
                address,
                name,
                cluster_name,
                network,
                servers,
                clock,
                vip or "",
                life,
                store_quota,
                waivers(waive),
                yes,
            )
        starting.start(layout)
        client = Client(layout.root)
        starting.wait_until(layout, "This node", lambda seen: missing(client, layout, seen))
        result = _result(layout, client)
        _print(result) if output == "table" else show(result, output)
        layout.first_password.unlink(missing_ok=True)  # once it has been shown, and not before


def _existing(
    layout: Layout, address: str | None, name: str | None, network: str | None, vip: str | None
) -> NodeIdentity:
    """This node; raises Refused when it is another one than the options describe."""
    identity = node_files.read_identity(layout)
    if "manager" not in identity.roles:
        raise Refused(
            f"This host is an agent of the cluster {identity.cluster_name}.",
            where=str(layout.node_file),
            next="start it: appliance run; to make it a cluster of its own: appliance uninstall --purge, then up",
        )
    for option, wanted, known in (
        ("--address", address, identity.address),
        ("--name", name, identity.name),
        ("--network", network, identity.network),
        ("--vip", vip, identity.vip or "none"),
    ):
        if wanted is not None and wanted != known:
            raise Refused(
                f"This host is a node already, with {option} {known}.",
                where=str(layout.node_file),
                why="`up` finishes or starts an installation; it does not change one",
                next=f"leave {option} out",
            )
    return identity


def _found(
    layout: Layout,
    package: Package,
    address: str | None,
    name: str | None,
    cluster_name: str | None,
    network: str | None,
    time_servers: tuple[str, ...],
    clock: Clock | None,
    vip: str,
    certificate_life: float,
    store_quota: int | None,
    waived: dict[str, str],
    yes: bool,
) -> None:
    wished = network or node_files.DEFAULT_NETWORK
    parse_network(wished)
    node_name = checked_name(name or starting.default_name())
    wish = Wish(
        cluster_name=checked_name(cluster_name or node_name),
        node_name=node_name,
        address=choose_address(address),
        network=wished,
        engine=find_host_engine(layout),
        clock=starting.clock_of(clock),
        time_servers=time_servers,
        vip=vip,
        certificate_life=certificate_life,
        store_quota=(store_quota or 0) * 2**20,
    )
    if vip:
        _check_vip(vip, wish)
    host = preflight.Host(layout=layout, role="manager", network=wished, own_engine=not wish.engine)
    starting.check_host(host, waived)
    if not yes:
        click.confirm(f"Make this host the first node of a new cluster at {wish.address}?", abort=True, err=True)
    starting.install(layout, package)
    starting.tell("making keys, certificates and the sidecars' settings")
    found(layout, wish, package)


def _check_vip(vip: str, wish: Wish) -> None:
    """Raises UsageError for what cannot be the cluster's own address."""
    address, _ = parse_vip(vip)
    if address == wish.address or is_local(address) or IPv4Address(address) in parse_network(wish.network):
        raise UsageError(
            f"{address} cannot be the cluster's own address.",
            why="it is this host's, or one of the instances' network",
            next="choose one of this host's network that no other host has",
            page="vip",
        )


def checked_life(seconds: float) -> float:
    """Raises UsageError for what no certificate should live."""
    if not SHORTEST_LIFE <= seconds <= LONGEST_LIFE:
        raise UsageError(
            "Certificates cannot have that life.",
            why="browsers refuse longer ones, and shorter ones would end before they reach a node",
            next=f"choose {SHORTEST_LIFE} s to {LONGEST_LIFE // DAY} days",
            page="certificates",
        )
    return seconds


def checked_name(name: str) -> str:
    """Raises UsageError for what cannot be part of a domain name."""
    if not NODE_NAME.fullmatch(name):
        raise UsageError(
            f"The name {name!r} cannot be used.",
            why="names have lower-case letters, digits and - inside, at most 63 of them",
            next="choose one with --name",
        )
    return name


def missing(client: Client, layout: Layout, seen: starting.Seen) -> str:
    """What this manager's node still lacks, "" for nothing. Other nodes may be away: they come back by themselves."""
    if not seen:
        return "the container engine and the agent"
    if trouble := starting.instance_trouble(seen):
        return trouble
    try:
        status = client.get("status")
    except ApplianceError as error:
        return f"the manager ({error.what})"
    if not any(manager["leader"] for manager in status["managers"]):
        return "a leader to be elected"
    ready = any(node["id"] == seen["node"] and node["state"] == "ready" for node in status["nodes"])
    if not ready:
        return "the manager to see its node ready"
    if status["cluster"]["held"]:
        return ""  # it has told its node of no address yet
    own = node_files.read_identity(layout).vip.partition("/")[0]
    others = len(status["managers"]) > 1  # then one of them may have it
    return f"its address {own}" if own and not others and not is_local(own) else ""


def _result(layout: Layout, client: Client) -> dict[str, Any]:
    """The answer; the first password is in it until it has been shown."""
    cluster = client.get("status")["cluster"]
    password = ""
    if layout.first_password.exists():
        password = layout.first_password.read_text().strip()
    agent, manager = (client.post("tokens", body={"role": role})["command"] for role in ("agent", "manager"))
    own = own_secret(layout)
    return {
        "url": cluster["url"],
        "admin_user": ADMIN,
        "admin_password": password or None,
        "join": {"agent": agent, "manager": manager},
        "recovery_key": recovery_text(own) if own else None,
    }


def _print(result: dict[str, Any]) -> None:
    click.secho("The cluster is ready.", fg="green", bold=True)
    click.echo(f"  page      {result['url']}")
    if result["admin_password"]:
        click.echo(f"  log in    {result['admin_user']}  {result['admin_password']}   (shown only now)")
    else:
        click.echo(f"  log in    {result['admin_user']}, with the password that was shown before")
    if result["recovery_key"] and result["admin_password"]:
        click.echo(f"  recovery  {result['recovery_key']}")
        click.echo("            opens the backups, which are made every day: write it down and keep it off this host")
    click.echo("  one more node: copy this file to that host and run there, as root,")
    click.echo(f"            ./{result['join']['agent']}")
    click.echo("  one more manager (3 or 5 in all bear the loss of one or two): the same with")
    click.echo(f"            ./{result['join']['manager']}")
