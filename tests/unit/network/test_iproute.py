"""Calling iproute2's programs. Only looks at the machine's network."""

import shutil
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.network.iproute import batch, listed

pytestmark = pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2")


def test_what_is_there_is_listed_as_data() -> None:
    [loopback] = listed("ip", "link", "show", "dev", "lo")
    assert (loopback["ifname"], loopback["link_type"]) == ("lo", "loopback")


def test_nothing_is_an_empty_list() -> None:
    assert listed("ip", "-4", "neighbour", "show", "dev", "lo", "nud", "permanent") == []


def test_the_command_that_failed_and_its_reason_are_named() -> None:
    with pytest.raises(ApplianceError) as refused:
        listed("ip", "link", "show", "dev", "nosuch0")
    assert "nosuch0" in refused.value.where and "nosuch0" in refused.value.why


def test_a_batch_stops_at_what_fails_and_says_which() -> None:
    batch("ip", ["link show dev lo"])
    batch("ip", [])
    with pytest.raises(ApplianceError) as refused:
        batch("ip", ["link show dev lo", "link show dev nosuch0", "link show dev lo"])
    assert "Command failed -:2" in refused.value.why


def test_a_host_without_the_program_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError) as refused:
        batch(str(tmp_path / "ip"), ["link show"])
    assert refused.value.where == str(tmp_path / "ip")
