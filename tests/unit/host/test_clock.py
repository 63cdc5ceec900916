"""Who keeps the clock."""

from pathlib import Path

import pytest

from appliance.host.clock import may_set, time_daemon


def test_a_running_time_daemon_is_found_by_its_name(tmp_path: Path) -> None:
    for pid, name in ((1, "init"), (20, "bash")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / f"{pid}/comm").write_text(f"{name}\n")
    assert time_daemon(tmp_path) == ""
    (tmp_path / "20/comm").write_text("systemd-timesyn\n")
    assert time_daemon(tmp_path) == "systemd-timesyncd"


@pytest.mark.parametrize(("capabilities", "may"), [("1ffffffffff", True), ("1fffdffffff", False), ("0", False)])
def test_only_who_has_the_capability_may_set_the_clock(tmp_path: Path, capabilities: str, may: bool) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    assert may_set(status) is may
