"""The table of commands, and the parts of commands that decide something."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from appliance.cli import COMMANDS, appliance
from appliance.cli.apply import parse_variables
from appliance.cli.client import ApiProblem, Client, parse_duration
from appliance.cli.docs import find_page
from appliance.cli.node import hardware, parse_labels, parse_taints
from appliance.cli.node_duty import parse_share
from appliance.cli.scale import wanted_count
from appliance.errors import LinkDown, NotFound, UsageError


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_has_help(name: str) -> None:
    result = CliRunner().invoke(appliance, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("2m", 120.0), ("1h", 3600.0), ("0.5s", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "5w"])
def test_what_is_not_a_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_duration(text)


def test_variables_may_hold_equals_signs() -> None:
    assert parse_variables(("a=b=c", "d=")) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("text", ["a", "=b"])
def test_a_variable_needs_a_name_and_a_value(text: str) -> None:
    with pytest.raises(UsageError):
        parse_variables((text,))


def test_labels_are_set_and_removed() -> None:
    assert parse_labels(("zone=a", "disk-")) == {"set": {"zone": "a"}, "remove": ["disk"]}
    with pytest.raises(UsageError):
        parse_labels(("zone",))


def test_a_taint_needs_no_value() -> None:
    assert parse_taints(("gpu", "team=a", "old-")) == {"set": {"gpu": "", "team": "a"}, "remove": ["old"]}


def test_what_a_node_keeps_is_given_as_people_write_amounts() -> None:
    assert parse_share("500m", "1Gi", False) == {"cpu": 500, "memory": 2**30, "default": False}
    assert parse_share("", "", True) == {"cpu": None, "memory": None, "default": True}
    for nothing in (("", "", False), ("much", "", False)):
        with pytest.raises(UsageError):
            parse_share(*nothing)


def test_the_hardware_of_a_node_is_shown_as_people_read_it() -> None:
    row = {
        "gpus": [{"id": "GPU-1", "model": "NVIDIA A100"}],
        "disks": [
            {"name": "sda", "medium": "hdd", "size": 2**40, "model": ""},
            {"name": "nvme0n1", "medium": "nvme", "size": 2**39, "model": "Fast 1"},
        ],
        "storage": {"": 2**38, "nvme": 2**39},
    }
    assert hardware(row) == {
        "gpu models": "NVIDIA A100",
        "disks": "sda (hdd, 1024.0 GiB), nvme0n1 (nvme, 512.0 GiB, Fast 1)",
        "storage": "volumes 256.0 GiB, nvme 512.0 GiB",
    }


def test_nobody_evicts_a_node_without_a_persons_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "get", lambda *_: {"name": "n1"})
    result = CliRunner().invoke(appliance, ["node", "evict", "n1", "--fenced", "--root", str(tmp_path)])
    assert isinstance(result.exception, UsageError)


def test_a_page_is_found_as_errors_name_it() -> None:
    assert find_page("preflight/#disk-room", ["preflight"]) == "preflight"
    assert find_page("adr", ["adr/index"]) == "adr/index"
    with pytest.raises(NotFound):
        find_page("nothing", ["preflight"])


def test_without_a_manager_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkDown) as down:
        Client(tmp_path).get("status")
    assert "appliance status" in down.value.next


def test_what_the_manager_refuses_keeps_its_exit_code() -> None:
    assert ApiProblem({"what": "no", "exit_code": 3}).exit_code == 3


def test_status_shows_what_the_agent_knows_where_no_manager_runs(tmp_path: Path) -> None:
    file = tmp_path / "run/appliance/agent.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"name": "two", "version": "0.1.0", "connected": false, "manager": "10.0.0.1", "instances": []}')
    result = CliRunner().invoke(appliance, ["status", "--root", str(tmp_path)])
    assert result.exit_code == 0
    assert "node two, release 0.1.0, not connected to 10.0.0.1" in result.output


def test_status_says_which_managers_do_not_work_with_the_node_why_and_what_next(tmp_path: Path) -> None:
    file = tmp_path / "run/appliance/agent.json"
    file.parent.mkdir(parents=True)
    said = {"manager": "n-9", "what": "The agent is newer.", "why": "managers come first", "next": "upgrade them"}
    file.write_text(json.dumps({"name": "two", "version": "0.2.0", "turned_away": [said], "instances": []}))
    shown = CliRunner().invoke(appliance, ["status", "--root", str(tmp_path)]).output
    assert "turned away by manager n-9: The agent is newer." in shown
    assert "why: managers come first" in shown and "next: upgrade them" in shown


@pytest.mark.parametrize(("words", "count"), [(("3", False), 3), (("auto", False), None), (("", True), None)])
def test_a_count_or_auto(words: tuple[str, bool], count: int | None) -> None:
    assert wanted_count(*words) == count


@pytest.mark.parametrize("words", [("", False), ("3", True), ("-1", False), ("many", False)])
def test_what_is_no_count(words: tuple[str, bool]) -> None:
    with pytest.raises(UsageError):
        wanted_count(*words)


@pytest.mark.parametrize(
    "arguments", [["scale", "shop", "3"], ["restart", "shop/"], ["stop", "shop/a/b"], ["move", "shop"]]
)
def test_a_malformed_name_is_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(appliance, arguments)
    assert isinstance(result.exception, UsageError)
