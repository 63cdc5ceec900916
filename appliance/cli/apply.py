"""`appliance apply FILE...`: make services what their files say."""

import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client
from appliance.cli.foreign import compose_service, insist, kind_of
from appliance.cli.node_options import root_option
from appliance.cli.output import Format, format_option, show
from appliance.cli.wait_options import wait_options
from appliance.cli.waiting import wait_until_done
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
    if index is not None and len(files) > 1:
        raise UsageError("--index is the revision of one service.", next="apply the files one by one")
    client = Client(root)
    wishes = [wish_of(file, variables) for file in files]
    if len(wishes) > 1:
        for wish in wishes:
            client.post("diff", body=wish)  # refuses what apply would refuse: nothing is done by halves
    results: list[dict[str, Any]] = []
    for wish in wishes:
        result = client.post("services", body={"message": message, "index": index, **wish})
        results.append(result)
        if output == "table":
            tell(result)
    if wait:
        for result in results:
            wait_until_done(client, result["service"], timeout, revision=result["revision"])
    if output != "table":
        show(results, output)


def tell(result: dict[str, Any]) -> None:
    """What became of a revision, and what its author may not expect."""
    said = "applied" if result["changed"] else "unchanged"
    click.echo(f"{result['service']}: revision {result['revision']} {said}")
    for note in result["notes"]:
        click.echo(f"  note: {note}", err=True)


def wish_of(file: Path, variables: tuple[str, ...]) -> dict[str, Any]:
    """The part of an apply or diff request that comes from a file and `--set`; a Compose file is converted."""
    text, name = read_spec(file), str(file)
    kind = kind_of(text)
    if kind == "kubernetes":
        raise UsageError(f"{file} is for Kubernetes.", next=f"appliance convert {file} > FILE, read it, and apply that")
    if kind == "compose":
        text, name = insist(compose_service(text, file)), f"{file} (converted)"
    return {"text": text, "file": name, "variables": parse_variables(variables)}


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
