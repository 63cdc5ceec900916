"""`appliance backup restore FILE` and `appliance backup adopt`: bring a cluster back, and let it go on."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import layout_of, root_option, waive_option, waivers
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.recovery import find_backup, key_options, secret_for
from appliance.cli.times import local_time


@click.command("restore")
@click.argument("file")
@key_options
@click.option("--address", default="", help="Address of this host, where the manager had another one.")
@click.option("--old-authorities", is_flag=True, help="Although nodes believe other authorities by now.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--yes", is_flag=True, help="Never ask.")
@waive_option
@format_option
@root_option
def restore(
    file: str,
    key: str | None,
    key_file: Path | None,
    address: str,
    old_authorities: bool,
    dry_run: bool,
    yes: bool,
    waive: tuple[str, ...],
    output: Format,
    root: Path,
) -> None:
    """Make this host the manager that made FILE, with the cluster's state of then. What runs goes on."""
    from appliance.cli import starting
    from appliance.cli.up import missing
    from appliance.delivery import node_files, preflight
    from appliance.delivery.backup_file import read_backup, read_header
    from appliance.delivery.engine_process import find_host_engine
    from appliance.delivery.journal import record
    from appliance.delivery.package import Package
    from appliance.delivery.restored_state import changes
    from appliance.engine.docker import DockerEngine
    from appliance.roles import restoring
    from appliance.roles.rehearsal import look_through, sentence

    layout, begun = layout_of(root), time.monotonic()
    path = find_backup(layout, file)
    backup = read_backup(path, secret_for(layout, read_header(path), key, key_file))
    found = sentence(backup, look_through(backup))
    fresh = not node_files.is_node(layout)
    host_engine, clock = (find_host_engine(layout), starting.clock_of(None)) if fresh else ("", "host")
    identity = restoring.identity_of_restored(layout, backup, address, host_engine, clock)
    restoring.refuse_foreign_address(identity)
    now = None if fresh else restoring.entries_now(layout)
    changed = [vars(change) for change in changes(now or {}, backup.entries)]
    if dry_run:
        if trap := restoring.other_authorities(layout, backup):
            click.echo(f"No node would let the manager in: {trap}.", err=True)
        _show_plan(changed, found, now is not None) if output == "table" else show(changed, output)
        return
    with Package.open() as package, starting.starting(layout):
        starting.check_package(package)
        if not old_authorities:
            restoring.refuse_other_authorities(layout, backup)
        restoring.refuse_living_managers(backup, identity)
        if fresh:
            host = preflight.Host(
                layout=layout, role="manager", network=identity.network, own_engine=not identity.engine
            )
            starting.check_host(host, waivers(waive))
        if not yes:
            _show_plan(changed, found, now is not None)
            click.confirm(f"Restore the manager {identity.name} at {identity.address}?", abort=True, err=True)
        if not fresh:
            starting.tell("ending this node's processes and its etcd; other containers go on")
            socket = Path(identity.engine) if identity.engine else layout.engine_socket
            restoring.empty_store(layout, identity, path, lambda: DockerEngine(socket))
        starting.install(layout, package)
        starting.tell("putting back keys and settings")
        restoring.put_back(layout, package, path, backup, identity)
        record(layout, f"restored {path.name}, the cluster as of {backup.header.made_at}")
        starting.start(layout)
        client = Client(layout.root)
        starting.wait_until(layout, "This node", lambda seen: missing(client, layout, seen))
    held = client.get("adoption")
    result = {"restored": backup.header.made_at, "seconds": round(time.monotonic() - begun, 1), **held}
    if output != "table":
        show(result, output)
        return
    click.secho(f"The cluster is back as of {local_time(backup.header.made_at)}.", fg="green", bold=True)
    print_held(held)
    print_images(backup.entries)


@click.command("adopt")
@click.option("--yes", is_flag=True, help="Never ask.")
@format_option
@root_option
def adopt(yes: bool, output: Format, root: Path) -> None:
    """Let a restored cluster go on, although something that runs would end, move or be made anew."""
    client = Client(root)
    held = client.get("adoption")
    if held["held"]:
        if not yes:
            print_held(held)
            click.confirm("Let the restored state hold from now on?", abort=True, err=True)
        held |= client.post("adoption")
    if output == "table":
        click.echo("The restored state holds.")
    else:
        show(held, output)


def print_held(held: dict[str, Any]) -> None:
    """What a restored cluster waits for."""
    if not held["held"]:
        return
    click.echo("Nothing is ordered yet; what runs goes on. It ends by itself when all nodes run what the backup says.")
    for name in held["unheard"]:
        click.echo(f"  {name} has not been heard yet")
    for each in held["differences"]:
        click.echo(f"  {each['instance']} on {each['node']} would {each['would']}")
    click.echo("To let the restored state hold in spite of that: appliance backup adopt")


def print_images(entries: Iterable[str]) -> None:
    from appliance.store.keys import IMAGES

    images = sorted(key.removeprefix(IMAGES) for key in entries if key.startswith(IMAGES))
    if images:
        click.echo("Layers of images are not in a backup. Where this host's registry has lost them, load again:")
        click.echo(f"  {', '.join(images)}")


def _show_plan(changed: list[dict[str, str]], found: str, compared: bool) -> None:
    click.echo(found, err=True)
    if not compared:
        click.echo("There is no state of now to compare with: all of this comes back.", err=True)
    rows = [[change["kind"], change["name"], change["what"]] for change in changed]
    show_table(["KIND", "NAME", "A RESTORE"], rows, empty="A restore would change nothing.")
