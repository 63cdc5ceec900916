"""`appliance backup ...`: make, list and try out backups of the cluster."""

import time
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client, Duration
from appliance.cli.node_options import layout_of, root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.recovery import find_backup, key_options, own_secret, secret_for
from appliance.cli.restore import adopt, restore
from appliance.cli.times import local_time
from appliance.errors import NotFound


@click.group("backup")
def command() -> None:
    """Make, list, try out and restore backups."""


@command.command("create")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Also put it there: a file or a folder.")
@format_option
@root_option
def create(target: Path | None, output: Format, root: Path) -> None:
    """Make a backup now, in this manager's own folder."""
    layout = layout_of(root)
    begun = time.monotonic()
    row = Client(layout.root).post("backups")
    path = layout.backups / row["name"]
    if target is not None:
        from appliance.delivery.backup_folder import copy_to

        target = target / path.name if target.is_dir() else target
        copy_to(path, target)
    row |= {"path": str(target or path), "seconds": round(time.monotonic() - begun, 3)}
    if output != "table":
        show(row, output)
        return
    click.echo(f"{row['path']}: {row['size'] / 1024:.0f} KiB, the cluster as of {local_time(row['made_at'])}")
    click.echo("It opens with the recovery key only: appliance backup key", err=True)


@command.command("ls")
@format_option
@root_option
def list_backups(output: Format, root: Path) -> None:
    """List this manager's backups, and how backups fare on all managers."""
    found = Client(root).get("backups")
    if output != "table":
        show(found, output)
        return
    cells = [
        [row["name"], local_time(row["made_at"]), row["by"], f"{row['size'] / 1024:.0f} KiB", row["release"]]
        for row in found["backups"]
    ]
    show_table(["BACKUP", "MADE", "BY", "SIZE", "RELEASE"], cells, empty="There are no backups on this manager.")
    click.echo(err=True)
    click.echo(plan_line(found["plan"]), err=True)
    for status in found["managers"]:
        click.echo(status_line(status), err=True)


@command.command("rm")
@click.argument("name")
@format_option
@root_option
def remove(name: str, output: Format, root: Path) -> None:
    """Remove a backup from this manager. NAME is as `ls` shows it."""
    result = Client(root).delete("backups", name)
    if output == "table":
        click.echo(f"{name}: removed")
    else:
        show(result, output)


@command.command("schedule")
@click.option("--every", type=Duration(), help="Time between two backups, as 6h; 0 : none.")
@click.option("--keep", type=int, help="How many of them each manager keeps.")
@click.option("--path", "folder", help='A folder of the managers\' hosts that gets each one as well; "" : none.')
@click.option("--rehearse", type=Duration(), help="Time between two rehearsals of the newest one; 0 : none.")
@format_option
@root_option
def schedule(
    every: float | None, keep: int | None, folder: str | None, rehearse: float | None, output: Format, root: Path
) -> None:
    """Say when backups are made, how many are kept and where; what is left out stays as it is."""
    wish = {"every": every, "keep": keep, "folder": folder, "rehearse": rehearse}
    plan = Client(root).post("backup-plan", body=wish)
    if output == "table":
        click.echo(plan_line(plan))
    else:
        show(plan, output)


@command.command("key")
@format_option
@root_option
def key(output: Format, root: Path) -> None:
    """Print the recovery key, which opens this cluster's backups. Write it down, and keep it off these hosts."""
    from appliance.security.recovery_key import key_id, recovery_text

    secret = own_secret(layout_of(root))
    if secret is None:
        raise NotFound("There is no recovery key on this host.", next="run this on a manager", page="backup")
    if output == "table":
        click.echo(recovery_text(secret))
    else:
        show({"key": recovery_text(secret), "id": key_id(secret)}, output)


@command.command("verify")
@click.argument("file")
@key_options
@format_option
@root_option
def verify(file: str, key: str | None, key_file: Path | None, output: Format, root: Path) -> None:
    """Try a backup out: fill a throwaway etcd from FILE, and read it as a manager does. Changes nothing."""
    from appliance.delivery.backup_file import read_backup, read_header
    from appliance.delivery.package import Package
    from appliance.roles.rehearsal import rehearse, sentence

    layout, begun = layout_of(root), time.monotonic()
    path = find_backup(layout, file)
    backup = read_backup(path, secret_for(layout, read_header(path), key, key_file))
    with Package.open() as package:
        counts = rehearse(layout, package, backup)
    found = sentence(backup, counts)
    if output == "table":
        click.echo(f"{path}: {found}")
    else:
        at, seconds = backup.header.made_at, round(time.monotonic() - begun, 3)
        show({"file": str(path), "restorable": at, "found": found, "seconds": seconds, **vars(counts)}, output)


command.add_command(restore)
command.add_command(adopt)


def plan_line(plan: dict[str, Any]) -> str:
    made = f"every {_time(plan['every'])}, {plan['keep']} are kept" if plan["every"] else "never"
    where = f", each also in {plan['folder']}" if plan["folder"] else ""
    rehearsed = f"every {_time(plan['rehearse'])}" if plan["rehearse"] else "never"
    return f"backups are made {made}{where}; rehearsed {rehearsed}"


def status_line(status: dict[str, Any]) -> str:
    """How it went on one manager."""
    made = f"last made {local_time(status['made_at'])}" if status["made_at"] else "none made yet"
    trouble = f"; FAILED: {status['trouble']}" if status["trouble"] else ""
    if status["rehearsal_trouble"]:
        rehearsed = f"rehearsal of {local_time(status['rehearsed_at'])} FAILED: {status['rehearsal_trouble']}"
    elif status["rehearsed_at"]:
        rehearsed = f"rehearsed {local_time(status['rehearsed_at'])}: {status['rehearsed']}"
    else:
        rehearsed = "not rehearsed yet"
    return f"{status['node']}: {made}{trouble}; {rehearsed}"


def _time(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
