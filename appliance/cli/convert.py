"""`appliance convert FILE...`: print the service that other people's files make."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.apply import read_spec
from appliance.cli.foreign import compose_service, kind_of, kubernetes_service, tell
from appliance.errors import SpecInvalid, UsageError

if TYPE_CHECKING:
    from appliance.errors import Problem
    from appliance.spec.converted import Converted


@click.command("convert")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--name", default="", help="Name of the service; else what the file or its folder is called.")
@click.option("--ignore-unsupported", is_flag=True, help="Exit with 0 although something is left out.")
def command(files: tuple[Path, ...], name: str, ignore_unsupported: bool) -> None:
    """Print the service file that FILES make; what is different or missing goes to standard error."""
    found = _converted(files, name)
    wrong = _wrong(found.text)
    click.echo(found.text, nl=False)
    tell("changed", found.notes)
    tell("left out", found.unsupported)
    tell("wrong", wrong)
    if wrong or (found.unsupported and not ignore_unsupported):
        click.echo("Not the service that was meant: write by hand what is left out, correct what is wrong.", err=True)
        sys.exit(3)


def _converted(files: tuple[Path, ...], name: str) -> "Converted":
    texts = {file: read_spec(file) for file in files}
    kinds = {kind_of(text) for text in texts.values()}
    if kinds == {"kubernetes"}:
        return kubernetes_service(texts, name)
    if kinds == {"compose"} and len(files) == 1:
        return compose_service(texts[files[0]], files[0], name)
    if kinds == {"compose"}:
        raise UsageError(
            "One Compose file makes one service.", next="join them first: docker compose -f A -f B config > FILE"
        )
    raise UsageError(
        "These are not files of one known format.",
        why="a Compose file has services: at its top, a Kubernetes manifest apiVersion: and kind:",
        next="a service file needs no conversion: appliance apply FILE",
    )


def _wrong(text: str) -> "list[Problem]":
    """What `apply` would refuse of the service; its lines are those of the output."""
    from appliance.spec.reader import read_service

    try:
        read_service(text, "the output", {})
    except SpecInvalid as error:
        return error.problems
    return []
