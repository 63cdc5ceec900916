"""`appliance secret ...`: values go in by standard input or a file, never as an argument that others can see."""

import sys
from pathlib import Path

import click

from appliance.cli.client import Client
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show, show_table
from appliance.cli.times import local_time
from appliance.errors import UsageError


@click.group("secret")
def command() -> None:
    """Set, list and remove the secrets of services."""


@command.command("set")
@click.argument("secret", metavar="SERVICE/NAME")
@click.option("--from-file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its value.")
@format_option
@root_option
def set_secret(secret: str, file: Path | None, output: Format, root: Path) -> None:
    """Give a secret a new value, read from standard input: on a terminal it is asked for and not shown."""
    service, name = _parts(secret)
    result = Client(root).post("secrets", service, name, body={"value": _value(secret, file)})
    if output != "table":
        show(result, output)
        return
    click.echo(f"{secret}: version {result['version']}")
    click.echo(f"it takes effect at the next `appliance apply` of {service}", err=True)


@command.command("ls")
@click.argument("service", default="")
@format_option
@root_option
def list_secrets(service: str, output: Format, root: Path) -> None:
    """List the secrets, of one service or of all, without their values."""
    rows = Client(root).get("secrets", service=service)
    if output != "table":
        show(rows, output)
        return
    cells = [
        [
            f"{row['service']}/{row['name']}",
            str(row["version"]),
            row["author"],
            local_time(row["created_at"]),
            ", ".join(str(number) for number in row["used_by"]),
        ]
        for row in rows
    ]
    show_table(["SECRET", "VERSION", "SET BY", "AT", "IN REVISIONS"], cells, empty="There are no secrets.")


@command.command("rm")
@click.argument("secret", metavar="SERVICE/NAME")
@format_option
@root_option
def remove(secret: str, output: Format, root: Path) -> None:
    """Remove a secret that the service's current revision does not use."""
    result = Client(root).delete("secrets", *_parts(secret))
    if output == "table":
        click.echo(f"{secret}: removed")
    else:
        show(result, output)


def _parts(secret: str) -> tuple[str, str]:
    service, _, name = secret.partition("/")
    if not service or not name or "/" in name:
        raise UsageError(f"{secret} is not the name of a secret.", next="SERVICE/NAME, for example shop/db-password")
    return service, name


def _value(secret: str, file: Path | None) -> str:
    if file is None and sys.stdin.isatty():
        return str(click.prompt(f"value of {secret}", hide_input=True, confirmation_prompt="once more", err=True))
    if file is not None:
        return as_text(file.read_bytes(), secret)
    # `echo` ends what it prints with a line end that nobody means.
    return as_text(sys.stdin.buffer.read(), secret).removesuffix("\n")


def as_text(value: bytes, secret: str) -> str:
    """Raises UsageError, which does not show it."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"The value of {secret} is not text.",
            why="it is not UTF-8",
            next="encode it, as with base64",
            page="secrets",
        ) from None
