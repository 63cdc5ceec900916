"""`appliance rollout pause|resume|status SERVICE`."""

from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show


@click.group("rollout")
def command() -> None:
    """Pause, resume and watch the change of a service to its newest revision."""


@command.command("pause")
@click.argument("service")
@format_option
@root_option
def pause(service: str, output: Format, root: Path) -> None:
    """Create and update no more instances of the service until `resume`; what runs goes on."""
    _ask(root, service, "pause", "paused", output)


@command.command("resume")
@click.argument("service")
@format_option
@root_option
def resume(service: str, output: Format, root: Path) -> None:
    """Go on where `pause` stopped."""
    _ask(root, service, "resume", "goes on", output)


@command.command("status")
@click.argument("service")
@format_option
@root_option
def status(service: str, output: Format, root: Path) -> None:
    """Show how far the service is with its newest revision."""
    found = Client(root).get("services", service, "rollout")
    if output != "table":
        show(found, output)
        return
    click.echo(f"{service}: revision {found['revision']} {found['state'] or 'has not begun'}")
    if found["reason"]:
        click.echo(f"  {found['reason']}")
    if found["in_effect"] != found["revision"]:
        click.echo(f"  revision {found['in_effect']} is in effect")
    if found["paused"]:
        click.echo(f"  paused; go on with: appliance rollout resume {service}")


def _ask(root: Path, service: str, action: str, said: str, output: Format) -> None:
    result = Client(root).post("services", service, "rollout", action)
    if output == "table":
        click.echo(f"{service}: the rollout {said}" if action == "resume" else f"{service}: the rollout is {said}")
    else:
        show(result, output)
