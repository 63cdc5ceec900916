"""`appliance node ...`."""

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_duty import cordon, drain, evict, reserve, uncordon
from appliance.cli.node_options import root_option
from appliance.cli.node_roles import demote, promote
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.set_address import of_node
from appliance.cli.times import local_time
from appliance.errors import UsageError


@click.group("node")
def command() -> None:
    """List, mark, empty and forget nodes."""


@command.command("ls")
@format_option
@root_option
def list_nodes(output: Format, root: Path) -> None:
    """List the nodes."""
    rows = Client(root).get("nodes")
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            row["name"],
            row["address"],
            ",".join(row["roles"]),
            ", ".join([row["state"], *_closed(row)]),
            f"{row['cpu'] / 1000:g}",
            f"{row['memory'] / 2**30:.1f} GiB",
            skew_text(row["skew"], short=True),
            ",".join(f"{name}={value}" for name, value in row["labels"].items()),
            ",".join(f"{name}={value}" if value else name for name, value in row["taints"].items()),
        ]
        for row in rows
    ]
    show_table(["NODE", "ADDRESS", "ROLES", "STATE", "CPU", "MEMORY", "CLOCK", "LABELS", "TAINTS"], cells)


@command.command("show")
@click.argument("node")
@format_option
@root_option
def show_node(node: str, output: Format, root: Path) -> None:
    """Show everything known of one node."""
    print_node(Client(root).get("nodes", node), output)


@command.command("label")
@click.argument("node")
@click.argument("labels", nargs=-1, required=True, metavar="NAME=VALUE|NAME-...")
@format_option
@root_option
def label(node: str, labels: tuple[str, ...], output: Format, root: Path) -> None:
    """Set labels (NAME=VALUE) and remove them (NAME-)."""
    print_node(Client(root).post("nodes", node, "labels", body=parse_labels(labels)), output)


@command.command("taint")
@click.argument("node")
@click.argument("taints", nargs=-1, required=True, metavar="KEY[=VALUE]|KEY-...")
@format_option
@root_option
def taint(node: str, taints: tuple[str, ...], output: Format, root: Path) -> None:
    """Set taints (KEY or KEY=VALUE) and remove them (KEY-)."""
    print_node(Client(root).post("nodes", node, "taints", body=parse_taints(taints)), output)


@command.command("rm")
@click.argument("node")
@format_option
@root_option
def remove(node: str, output: Format, root: Path) -> None:
    """Forget a node that is gone for good and holds no instances."""
    result = Client(root).delete("nodes", node)
    if output == "table":
        click.echo(f"{node}: removed")
    else:
        show(result, output)


def parse_labels(given: tuple[str, ...]) -> dict[str, Any]:
    """Raises UsageError for anything that is neither NAME=VALUE nor NAME-."""
    wanted: dict[str, str] = {}
    removed: list[str] = []
    for text in given:
        name, equals, value = text.partition("=")
        if equals and name:
            wanted[name] = value
        elif text.endswith("-") and len(text) > 1:
            removed.append(text[:-1])
        else:
            raise UsageError(f"{text!r} is neither NAME=VALUE nor NAME-.")
    return {"set": wanted, "remove": removed}


def parse_taints(given: tuple[str, ...]) -> dict[str, Any]:
    """As labels, and a bare KEY is a taint without a value."""
    return parse_labels(tuple(text if "=" in text or text.endswith("-") else f"{text}=" for text in given))


def print_node(row: dict[str, Any], output: Format) -> None:
    if output != "table":
        show(row, output)
        return
    amounts = ("allocated", "free", "reserve", "cpu", "memory", "gpus", "disks", "storage", "skew")
    told = {name: _text(value) for name, value in row.items() if name not in amounts}
    told |= {"since": local_time(row["since"]), "clock": skew_text(row["skew"])}
    for name, text in (told | hardware(row) | _shares(row)).items():
        if text:
            click.echo(f"{name + ':':14}{text}")


def skew_text(skew: dict[str, float] | None, *, short: bool = False) -> str:
    """How far a clock is off the manager's: ``+1.20 s`` is ahead of it."""
    if skew is None:
        return "?"
    offset = f"{skew['offset']:+.3f} s"
    return offset if short else f"{offset} against the manager's, give or take {skew['error']:.3f} s"


def hardware(row: dict[str, Any]) -> dict[str, str]:
    """The GPUs and disks of a node, and the room of its media for volumes, as people read them."""
    disks = [f"{one['name']} ({one['medium']}, {_size(one['size'])}{_and(one['model'])})" for one in row["disks"]]
    room = [f"{medium or 'volumes'} {_size(size)}" for medium, size in row["storage"].items()]
    models = [gpu["model"] for gpu in row["gpus"]]
    return {"gpu models": ", ".join(models), "disks": ", ".join(disks), "storage": ", ".join(room)}


def _and(text: str) -> str:
    return f", {text}" if text else ""


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" if text else key for key, text in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _shares(row: dict[str, Any]) -> dict[str, str]:
    """What the node has, keeps for itself, has given to instances and has left, as people read it."""
    taken, free = row.get("allocated"), row.get("free")
    reserve = row["reserve"]
    kept = {"cpu": _cores(reserve["cpu"] or 0), "memory": "the usual share"}
    if reserve["memory"] is not None:
        kept["memory"] = _size(reserve["memory"])
    texts = {"cpu": _cores(row["cpu"]), "memory": _size(row["memory"])}
    if taken and free:
        texts["cpu"] += f", {_cores(taken['cpu'])} allocated, {_cores(free['cpu'])} free"
        texts["memory"] += f", {_size(taken['memory'])} allocated, {_size(free['memory'])} free"
        if taken["gpus"] + free["gpus"]:
            texts["gpus"] = f"{taken['gpus']} allocated, {free['gpus']} free"
        for medium, size in free["storage"].items():
            texts[medium] = f"{_size(taken['storage'][medium])} allocated, {_size(size)} free"
    return texts | {"reserve": f"cpu {kept['cpu']}, memory {kept['memory']}"}


def _closed(row: dict[str, Any]) -> list[str]:
    """The strongest of the three words only: an evicted or draining node is cordoned as well."""
    return [word for word in ("evicted", "draining", "cordoned") if row[word]][:1]


def _cores(thousandths: int) -> str:
    return f"{thousandths / 1000:g}"


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


command.add_command(cordon)
command.add_command(uncordon)
command.add_command(drain)
command.add_command(evict)
command.add_command(reserve)
command.add_command(of_node)
command.add_command(promote)
command.add_command(demote)
