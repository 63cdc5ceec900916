"""`appliance scale SERVICE/DEPLOY N|auto`."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.cli.waiting import wait_until_done
from appliance.errors import UsageError

AUTO = "auto"


@click.command("scale")
@click.argument("deploy", metavar="SERVICE/DEPLOY")
@click.argument("replicas", metavar="N|auto", required=False, default="")
@click.option("--clear", is_flag=True, help="The same as auto: follow the file, or autoscaling, again.")
@wait_options
@format_option
@root_option
def command(deploy: str, replicas: str, clear: bool, wait: bool, timeout: float, output: Format, root: Path) -> None:
    """Run so many replicas of a deploy, also over applies, until `auto`."""
    service, slash, name = deploy.partition("/")
    if not slash or not service or not name or "/" in name:
        raise UsageError(f"{deploy!r} is not SERVICE/DEPLOY.", next="for example: appliance scale shop/web 3")
    count = wanted_count(replicas, clear)
    client = Client(root)
    result = client.post("services", service, "scale", body={"deploy": name, "replicas": count})
    if wait:
        wait_until_done(client, service, timeout)
    if output == "table":
        click.echo(f"{deploy}: as its file says" if count is None else f"{deploy}: {count} replicas")
    else:
        show(result, output)


def wanted_count(replicas: str, clear: bool) -> int | None:
    """None: as the file says; raises UsageError."""
    if replicas == AUTO or (clear and not replicas):
        return None
    if clear or not replicas.isdecimal():
        raise UsageError("One number of replicas is needed, or `auto`.", next="for example: appliance scale shop/web 3")
    return int(replicas)
