"""A sidecar and its configuration on the disk of its node."""

from pathlib import Path

import msgspec

from appliance.agent.assignments import AssignmentBook
from appliance.agent.kept_sidecar import KeptSidecar
from appliance.model.instance import Mount
from tests.unit.agent.node import alone


def test_nothing_changes_before_the_first_word(tmp_path: Path) -> None:
    book = AssignmentBook(tmp_path / "assignments")
    book.put(alone())
    KeptSidecar("time", book, tmp_path / "config").cycle()
    assert list(book.all().values()) == [alone()]
    assert not (tmp_path / "config").exists()


def test_its_folders_and_files_are_there_before_it_is(tmp_path: Path) -> None:
    book = AssignmentBook(tmp_path / "assignments")
    kept = KeptSidecar("time", book, tmp_path / "config")
    wanted = alone()
    mounts = (Mount(source=str(tmp_path / "data"), target="/data"),)
    containers = tuple(msgspec.structs.replace(each, mounts=mounts) for each in wanted.containers)
    kept.update(msgspec.structs.replace(wanted, containers=containers), {"chrony.conf": "port 0\n"})
    kept.cycle()
    assert (tmp_path / "data").is_dir()
    assert (tmp_path / "config/chrony.conf").read_text() == "port 0\n"
    (kept_one,) = book.all().values()
    assert kept_one.containers == containers
