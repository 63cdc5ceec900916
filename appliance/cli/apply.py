"""`appliance apply FILE...`: make services what their files say."""

import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client, wait_until_done
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.errors import UsageError


@click.command("apply")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--set", "variables", multiple=True, metavar="NAME=VALUE", help="Give a variable another value.")
@click.option("--index", type=int, help="Refuse unless the service is at this revision (0: does not exist).")
@click.option("--message", "-m", default="", help="Kept in the history.")
@wait_options
@format_option
@root_option
def command(
    files: tuple[Path, ...],
    variables: tuple[str, ...],
    index: int | None,
    message: str,
    wait: bool,
    timeout: float,
    output: Format,
    root: Path,
) -> None:
    """Make services what FILES say ("-": standard input)."""
    client = Client(root)
    results: list[dict[str, Any]] = []
    for file in files:
        wish = {"message": message, "index": index, **wish_of(file, variables)}
        result = client.post("services", body=wish)
        results.append(result)
        if output == "table":
            said = "applied" if result["changed"] else "unchanged"
            click.echo(f"{result['service']}: revision {result['revision']} {said}")
    if wait:
        for result in results:
            wait_until_done(client, result["service"], timeout)
    if output != "table":
        show(results, output)


def wish_of(file: Path, variables: tuple[str, ...]) -> dict[str, Any]:
    """The part of an apply or diff request that comes from a file and `--set`."""
    return {"text": read_spec(file), "file": str(file), "variables": parse_variables(variables)}


def read_spec(file: Path) -> str:
    """The file's text; raises UsageError when it cannot be read as UTF-8."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The file {file} cannot be read.", why=str(error)) from error


def parse_variables(given: tuple[str, ...]) -> dict[str, str]:
    """Raises UsageError for anything that is not NAME=VALUE."""
    for text in given:
        if "=" not in text.lstrip("="):
            raise UsageError(f"--set {text}: expected NAME=VALUE.")
    return dict(text.split("=", 1) for text in given)
