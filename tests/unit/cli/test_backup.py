"""Which backup and which key a command means, and what people read of the plan."""

from pathlib import Path

import pytest

from appliance.cli.backup import plan_line, status_line
from appliance.cli.recovery import find_backup, own_secret, secret_for
from appliance.errors import NotFound, Refused
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.security.recovery_key import key_id, recovery_secret, recovery_text
from tests.unit.delivery.test_backup_file import header

OWN = recovery_secret(bytes(32))
OTHER = recovery_secret(bytes([1]) * 32)
PLAN = {"every": 21_600.0, "keep": 14, "folder": "", "rehearse": 604_800.0}
STATUS = {
    "node": "m1",
    "made_at": "2026-11-25T12:00:00Z",
    "name": "one.backup",
    "trouble": "",
    "rehearsed_at": "",
    "rehearsed": "",
    "rehearsal_trouble": "",
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    write_atomic(layout.seal_key, bytes(32))
    return layout


def test_a_manager_opens_its_clusters_backups_without_being_told_the_key(layout: Layout) -> None:
    assert secret_for(layout, header(key_id=key_id(OWN)), None, None) == OWN


def test_a_key_that_was_given_comes_first(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "key.txt"
    file.write_text(recovery_text(OTHER) + "\n")
    for key, key_file in ((recovery_text(OTHER), None), (None, file)):
        assert secret_for(layout, header(key_id=key_id(OWN)), key, key_file) == OTHER


def test_where_nobody_can_be_asked_a_missing_key_is_refused(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="recovery key"):
        secret_for(layout, header(key_id=key_id(OTHER)), None, None)
    with pytest.raises(Refused, match="recovery key"):
        secret_for(Layout(tmp_path / "fresh"), header(key_id=key_id(OWN)), None, None)
    assert own_secret(Layout(tmp_path / "fresh")) is None


def test_a_backup_is_named_by_path_or_as_ls_shows_it(layout: Layout, tmp_path: Path) -> None:
    write_atomic(layout.backups / "one.backup", b"")
    assert find_backup(layout, "one.backup") == find_backup(layout, str(tmp_path / layout.backups / "one.backup"))
    with pytest.raises(NotFound):
        find_backup(layout, "two.backup")


def test_the_plan_is_one_line() -> None:
    assert plan_line(PLAN) == "backups are made every 6 h, 14 are kept; rehearsed every 7 d"
    assert plan_line(PLAN | {"folder": "/mnt"}).count("each also in /mnt") == 1
    assert plan_line(PLAN | {"every": 0, "rehearse": 0}) == "backups are made never; rehearsed never"


def test_what_failed_stands_out() -> None:
    assert "FAILED" not in status_line(STATUS)
    assert "not rehearsed yet" in status_line(STATUS)
    assert "FAILED: no room" in status_line(STATUS | {"trouble": "no room"})
    assert "FAILED: damaged" in status_line(
        STATUS | {"rehearsal_trouble": "damaged", "rehearsed_at": STATUS["made_at"]}
    )
