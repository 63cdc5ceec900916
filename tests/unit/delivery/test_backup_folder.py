"""Which backups are kept."""

from pathlib import Path

import pytest

from appliance.delivery.backup_file import write_backup
from appliance.delivery.backup_folder import backups_in, find, name_of, surplus
from appliance.errors import NotFound
from appliance.model.backup import BackupHeader
from tests.unit.delivery.test_backup_file import SECRET, header

NOW = "2026-11-10T00:00:00.000Z"


def made(*days: int, **changes: str) -> dict[str, BackupHeader]:
    by_day = (header(made_at=f"2026-11-{day:02d}T00:00:00.000Z", **{"by": "schedule", **changes}) for day in days)
    return {name_of(each): each for each in by_day}


def days(names: list[str]) -> list[int]:
    return [int(name.split("-202611")[1][:2]) for name in names]


def test_the_oldest_are_too_many() -> None:
    assert days(surplus(made(3, 1, 4, 2), "c-1", "n-1", keep=2, now=NOW)) == [1, 2]


def test_what_is_dated_in_the_future_goes_first() -> None:
    assert days(surplus(made(9, 11, 12, 8), "c-1", "n-1", keep=2, now=NOW)) == [11, 12]
    assert days(surplus(made(9, 11, 8), "c-1", "n-1", keep=2, now=NOW)) == [11]


def test_fewer_than_are_kept_stay() -> None:
    assert surplus(made(1, 2), "c-1", "n-1", keep=7, now=NOW) == []


def test_what_a_person_made_stays() -> None:
    assert days(surplus(made(1, by="hand") | made(2, 3), "c-1", "n-1", keep=1, now=NOW)) == [2]


def test_what_others_made_in_the_same_folder_stays() -> None:
    others = made(1, node="n-2", node_name="m2") | made(1, cluster="c-2", cluster_name="bank")
    assert surplus(others | made(2), "c-1", "n-1", keep=1, now=NOW) == []


def test_only_backups_of_the_folder_are_found(tmp_path: Path) -> None:
    write_backup(tmp_path / "one.backup", header(), SECRET, [], {})
    (tmp_path / "two.backup").write_bytes(b"something else")
    (tmp_path / ".one.backup.77.new").write_bytes(b"half")
    assert list(backups_in(tmp_path)) == ["one.backup"]
    assert find(tmp_path, "one.backup") == tmp_path / "one.backup"


@pytest.mark.parametrize("name", ["../one.backup", "none.backup", "", ".", "one", "/etc/passwd"])
def test_nothing_else_is_reached_by_a_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    write_backup(tmp_path / "one.backup", header(), SECRET, [], {})
    with pytest.raises(NotFound):
        find(folder, name)
