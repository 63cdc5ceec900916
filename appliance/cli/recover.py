"""`appliance recover`: make this manager the only one, when most of them are gone for good."""

import time
from pathlib import Path

import click

from appliance.cli.node_options import layout_of, root_option
from appliance.cli.output import Format, format_option, show, show_table


@click.command("recover")
@click.option("--dry-run", is_flag=True, help="Only tell what is left and what would be lost.")
@click.option("--yes", is_flag=True, help="Never ask.")
@click.option("--force-this-one", is_flag=True, help="Although another manager has, or may have, a newer state.")
@format_option
@root_option
def command(dry_run: bool, yes: bool, force_this_one: bool, output: Format, root: Path) -> None:
    """Make this manager the only one, with the state that it has, when most managers are lost for good."""
    from appliance.cli import starting
    from appliance.cli.client import Client
    from appliance.cli.up import missing
    from appliance.delivery import node_files
    from appliance.delivery.journal import record
    from appliance.delivery.survivors import freshest, loss, refuse_staler
    from appliance.engine.docker import DockerEngine
    from appliance.errors import Refused
    from appliance.model.moment import now_text
    from appliance.roles import recovering

    layout, started = layout_of(root), time.monotonic()
    identity = node_files.read_identity(layout)
    if "manager" not in identity.roles:
        raise Refused(
            "This host is no manager.",
            next="run this on a manager; if none is left, restore a backup",
            page="backup#the-managers-host-is-lost",
        )
    with starting.starting(layout):
        if layout.recovery_file.exists():
            starting.tell("going on with a recovery that was interrupted")
        else:
            own, others = recovering.look(layout, identity)
            best, lost = freshest(own, others), loss(own, others)
            rows = [
                {
                    "manager": each.address,
                    "reached": each.reached,
                    "revision": each.revision,
                    "freshest": each == best,
                }
                for each in (own, *others)
            ]
            found = {"managers": rows, "lost": lost}
            if output == "table":
                show_table(
                    ["MANAGER", "REACHED", "REVISION", ""],
                    [
                        [
                            str(row["manager"]),
                            "yes" if row["reached"] else "no",
                            str(row["revision"] or "unknown"),
                            "freshest" if row["freshest"] else "",
                        ]
                        for row in rows
                    ],
                    empty="",
                )
                click.echo(f"Lost would be {lost}.", err=True)
            elif dry_run:
                show(found, output)
            if not force_this_one:
                refuse_staler(own, others)
            if dry_run:
                return
            if not yes:
                click.echo(
                    "Those that cannot be reached have to be off for good, not only cut off from here.", err=True
                )
                click.confirm(f"Make {identity.name} the only manager?", abort=True, err=True)
        starting.tell("ending this node's processes and its etcd; other containers go on")
        socket = Path(identity.engine) if identity.engine else layout.engine_socket
        recovering.begin(layout, identity, now_text(), lambda: DockerEngine(socket))
        kept = layout.etcd_data / "before-recover"
        record(layout, f"recovering as the only manager; a copy of etcd's data is in {kept}")
        starting.tell(f"etcd's data as it was is kept in {kept}")
        starting.start(layout)
        client = Client(layout.root)

        def lacking(seen: starting.Seen) -> str:
            return "the recovery to end" if layout.recovery_file.exists() else missing(client, layout, seen)

        starting.wait_until(layout, "This node", lacking)
    if output != "table":
        show({"recovered": identity.name, "kept": str(kept), "seconds": round(time.monotonic() - started, 1)}, output)
        return
    click.secho(f"The cluster takes changes again, with {identity.name} as its only manager.", fg="green", bold=True)
    click.echo("The other managers are agents now, when they come back: switch them on, one after the other.")
    click.echo("Each drops its old state by itself. Then, one after the other: appliance node promote NODE --wait")
    click.echo("One that never comes back: appliance node evict NODE --fenced; appliance node rm NODE")
