"""How every command prints: a table for people, JSON or YAML for scripts."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import click

Format = Literal["table", "json", "yaml"]
_F = TypeVar("_F", bound=Callable[..., Any])


def format_option[F: Callable[..., Any]](function: F) -> F:
    """Adds `-o table|json|yaml`, passed as `output`."""
    option = click.option(
        "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", help="How to print the result."
    )
    return option(function)


def show(value: Any, output: Format) -> None:
    """Print plain data (dicts, lists, strings, numbers) as JSON or YAML on stdout."""
    if output == "yaml":
        from ruamel.yaml import YAML

        YAML().dump(value, sys.stdout)
        return
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
    """Print aligned columns, bold headings on a terminal; the last column is cut to the terminal's width.

    `empty` is said on stderr when there are no rows, so that a pipe sees nothing.
    """
    if not rows:
        click.echo(empty, err=True)
        return
    widths = [max(len(click.unstyle(cell)) for cell in column) for column in zip(headings, *rows, strict=True)]
    room = _terminal_width()
    for number, row in enumerate([headings, *rows]):
        cells = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        if room and len(click.unstyle(line)) > room:
            line = click.unstyle(line)[: room - 1] + "…"
        click.echo(click.style(line, bold=True) if number == 0 else line)


def _terminal_width() -> int:
    """Columns of the terminal, 0 where stdout is not one (then nothing is cut)."""
    if not sys.stdout.isatty():
        return 0
    import shutil

    return shutil.get_terminal_size().columns
