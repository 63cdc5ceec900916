"""`appliance rollback SERVICE [--to REV]`."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.cli.waiting import wait_until_done


@click.command("rollback")
@click.argument("service")
@click.option("--to", type=click.IntRange(min=1), help="Revision to go back to (default: the last complete one).")
@wait_options
@format_option
@root_option
def command(service: str, to: int | None, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Make an earlier revision of a service the current one, as a whole."""
    client = Client(root)
    result = client.post("services", service, "rollback", body={"to": to or 0})
    if wait:
        wait_until_done(client, service, timeout, revision=result["revision"])
    if output == "table":
        said = "made from the earlier one" if result["changed"] else "is the same already"
        click.echo(f"{service}: revision {result['revision']} {said}")
        for note in result["notes"]:
            click.echo(f"  note: {note}", err=True)
    else:
        show(result, output)
