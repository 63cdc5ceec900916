"""`appliance patch SERVICE --set path=value`."""

from pathlib import Path

import click

from appliance.cli.apply import parse_variables, tell
from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.cli.waiting import wait_until_done


@click.command("patch")
@click.argument("service")
@click.option("--set", "values", multiple=True, required=True, metavar="PATH=VALUE", help="Give a field another value.")
@click.option("--index", type=int, help="Refuse unless the service is at this revision.")
@click.option("--message", "-m", default="", help="Kept in the history.")
@wait_options
@format_option
@root_option
def command(
    service: str,
    values: tuple[str, ...],
    index: int | None,
    message: str,
    wait: bool,
    timeout: float,
    output: Format,
    root: Path,
) -> None:
    """Change single values of a service without its file: deploys.web.replicas=3, variables.tag=1.5."""
    client = Client(root)
    wish = {"set": parse_variables(values), "message": message, "index": index}
    result = client.post("services", service, "patch", body=wish)
    if output == "table":
        tell(result)
    if wait:
        wait_until_done(client, service, timeout, revision=result["revision"])
    if output != "table":
        show(result, output)
