"""`appliance schema`: the service file as a JSON Schema, for editors."""

import click

from appliance.cli.output import Format, format_option, show


@click.command("schema")
@format_option
def command(output: Format) -> None:
    """Print the JSON Schema of service files."""
    from appliance.spec.json_schema import json_schema

    show(json_schema(), "json" if output == "table" else output)
