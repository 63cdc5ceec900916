"""`appliance preflight`: is this host fit?"""

from pathlib import Path

import click

from appliance.cli.node_options import root_option, waive_option, waivers
from appliance.cli.output import Format, format_option, show, show_table
from appliance.delivery import preflight
from appliance.delivery.engine_process import find_host_engine
from appliance.delivery.node_files import DEFAULT_NETWORK
from appliance.host.layout import Layout

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "waived": "cyan"}


@click.command("preflight")
@click.option("--role", type=click.Choice(["manager", "agent"]), default="manager", show_default=True)
@click.option("--network", default=DEFAULT_NETWORK, show_default=True, help="Range of the overlay network.")
@waive_option
@format_option
@root_option
def command(role: str, network: str, waive: tuple[str, ...], output: Format, root: Path) -> None:
    """Check whether this host can be a node; changes nothing."""
    layout = Layout(root.resolve())
    host = preflight.Host(
        layout=layout,
        role="manager" if role == "manager" else "agent",
        network=network,
        own_engine=not find_host_engine(layout),
    )
    findings = preflight.examine(host, waivers(waive))
    if output == "table":
        print_findings(findings)
    else:
        show([vars_of(f) for f in findings], output)
    preflight.insist(findings)


def vars_of(finding: preflight.Finding) -> dict[str, str]:
    return {"check": finding.name, "outcome": finding.outcome, "found": finding.found, "next": finding.next}


def print_findings(findings: list[preflight.Finding]) -> None:
    rows = [[f.name, click.style(f.outcome, fg=_COLOURS[f.outcome]), f.found, f.next] for f in findings]
    show_table(["CHECK", "OUTCOME", "FOUND", "NEXT"], rows)
