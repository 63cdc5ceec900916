"""`appliance top [SERVICE]`: what nodes and instances use now."""

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@click.command("top")
@click.argument("service", required=False, default="")
@format_option
@root_option
def command(service: str, output: Format, root: Path) -> None:
    """Show what nodes and instances (of SERVICE, or all) use; the busiest instance comes first."""
    found = Client(root).get("top", **({"service": service} if service else {}))
    if output != "table":
        show(found, output)
        return
    if not service:
        show_table(["NODE", "CPU", "OF", "MEMORY", "OF", "INSTANCES"], [_node(row) for row in found["nodes"]])
        click.echo()
    headings = ["INSTANCE", "NODE", "CPU", "PROMISED", "MEMORY", "PROMISED", "METRIC"]
    show_table(headings, [_instance(row) for row in found["instances"]], empty="Nothing has been measured yet.")


def _node(row: dict[str, Any]) -> list[str]:
    used = [_cores(row["cpu"]), _cores(row["cpu_total"]), _bytes(row["memory"]), _bytes(row["memory_total"])]
    return [row["node"], *used, str(row["instances"])]


def _instance(row: dict[str, Any]) -> list[str]:
    promised_cpu = _cores(row["cpu_promised"]) if row["cpu_promised"] else "-"
    promised_memory = _bytes(row["memory_promised"]) if row["memory_promised"] else "-"
    metric = "" if row["metric"] is None else f"{row['metric']:g}"
    used = [_cores(row["cpu"]), promised_cpu, _bytes(row["memory"]), promised_memory]
    return [row["instance"], row["node"], *used, metric]


def _cores(thousandths: int | None) -> str:
    return "?" if thousandths is None else f"{thousandths / 1000:.2f}"


def _bytes(count: int | None) -> str:
    if count is None:
        return "?"
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if value >= 100 or not unit else f"{value:.1f} {_UNITS[unit]}"
