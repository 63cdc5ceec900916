"""`appliance version`."""

import platform

import click

from appliance import RELEASE_COUNTER, VERSION
from appliance.cli.output import Format, format_option, show


@click.command("version")
@format_option
def command(output: Format) -> None:
    """Print the version of this file, and the number of its release."""
    if output == "table":
        click.echo(f"appliance {VERSION} (release {RELEASE_COUNTER})")
        return
    show({"version": VERSION, "release": RELEASE_COUNTER, "architecture": platform.machine()}, output)
