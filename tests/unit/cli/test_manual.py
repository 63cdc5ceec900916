"""The manual of the commands: docs/commands.md has a section for each, and says neither less nor more than --help."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli import COMMANDS, appliance

PAGE = (Path(__file__).parents[3] / "docs/commands.md").read_text()
COMMON = {"--output", "--root", "--help"}
"""Explained at the top of the page, once for all commands."""


def commands_of(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{path}{name} ")
        else:
            yield path + name, command


ALL = dict(commands_of(appliance))


def sections() -> dict[str, str]:
    """Command → its section; one section may be that of several commands."""
    found: dict[str, str] = {}
    for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found |= dict.fromkeys(heading.split(", "), re.split(r"^## ", text, flags=re.MULTILINE)[0])
    return found


def options_of(command: click.Command) -> set[str]:
    options = [one for one in command.params if isinstance(one, click.Option)]
    return {name for one in options for name in one.opts if name.startswith("--")}


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(sections()) == set(ALL)
    assert {name.split()[0] for name in ALL} == set(COMMANDS)


@pytest.mark.parametrize("name", ALL)
def test_a_section_shows_how_to_call_its_command(name: str) -> None:
    assert re.search(rf"^appliance {name}\b", sections()[name], flags=re.MULTILINE)


@pytest.mark.parametrize("name", ALL)
def test_every_long_option_is_in_its_section(name: str) -> None:
    text = sections()[name]
    assert [one for one in sorted(options_of(ALL[name]) - COMMON) if one not in text] == []


@pytest.mark.parametrize("name", ALL)
def test_a_call_shows_no_option_that_does_not_exist(name: str) -> None:
    calls = sections()[name].split("```")[1]
    named_together = [command for other, command in ALL.items() if sections()[other] == sections()[name]]
    known = set().union(*(options_of(command) for command in named_together))
    assert set(re.findall(r"--[a-z][a-z-]*", calls)) <= known


@pytest.mark.parametrize("option", sorted(COMMON - {"--help"}))
def test_common_options_are_explained_at_the_top(option: str) -> None:
    assert option in PAGE.partition("### ")[0]
