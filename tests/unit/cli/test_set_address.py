"""A node that nobody reaches is told on itself where it and its manager are."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli.set_address import command
from appliance.delivery.node_files import read_identity, write_identity
from appliance.errors import UsageError
from appliance.host.interfaces import choose_address
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity
from tests.unit.first_manager import FIRST


def call(folder: Path, *options: str) -> NodeIdentity:
    layout = Layout(folder)
    write_identity(layout, FIRST)
    result = CliRunner().invoke(command, [choose_address(None), *options, "--root", str(folder)])
    if result.exception is not None:
        raise result.exception
    return read_identity(layout)


def test_a_manager_that_was_left_behind_becomes_an_agent_of_the_restored_one(tmp_path: Path) -> None:
    found = call(tmp_path, "--manager", "10.0.0.9", "--agent")
    assert (found.roles, found.managers) == (("agent",), ("10.0.0.9:8444",))
    assert found.id == FIRST.id


@pytest.mark.parametrize("options", [("--agent",), ("--manager", "10.0.0.9")])
def test_half_of_that_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        call(tmp_path, *options)
