"""Where volumes lie, and what goes with an instance. On real folders and mounts."""

from pathlib import Path

import msgspec
import pytest

from appliance.agent.volumes import Volumes
from appliance.errors import ApplianceError
from appliance.host import mounts
from appliance.model.instance import Assignment
from appliance.model.service import Volume


class Disks:
    """The volumes of a node, and the disks for media that it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = {"": folder / "volumes"}
        self.volumes = Volumes(folder / "volumes", folder / "memory", lambda: self.places)

    def place(self, name: str = "data") -> Path:
        return self.folder / "volumes/shop/web-1" / name


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


def _with(**volumes: Volume) -> Assignment:
    return Assignment(
        instance="shop/web-1", service="shop", deploy="web", index=1, revision=1, containers=(), volumes=volumes
    )


def test_only_kept_volumes_stay(disks: Disks) -> None:
    both = _with(data=Volume(keep=True), cache=Volume())
    disks.volumes.prepare(both)
    disks.volumes.remove(both)
    assert [path.name for path in disks.place().parent.iterdir()] == ["data"]


def test_every_user_can_write_into_a_volume(disks: Disks) -> None:
    disks.volumes.prepare(_with(data=Volume()))
    assert disks.place().stat().st_mode & 0o777 == 0o777


def test_a_volume_of_a_medium_lies_on_its_disk_and_is_found_where_all_are(disks: Disks) -> None:
    disks.places["nvme"] = disks.folder / "fast/volumes"
    wanted = _with(data=Volume(medium="nvme"))
    disks.volumes.prepare(wanted)
    (disks.place() / "row").touch()
    assert (disks.folder / "fast/volumes/shop/web-1/data/row").exists()
    disks.volumes.remove(wanted)
    assert not disks.place().parent.exists() and not (disks.folder / "fast/volumes/shop/web-1/data").exists()


def test_a_volume_stays_where_it_was_made(disks: Disks) -> None:
    disks.volumes.prepare(_with(data=Volume()))
    disks.places["nvme"] = disks.folder / "fast/volumes"
    disks.volumes.prepare(_with(data=Volume(medium="nvme")))
    assert disks.place().is_dir() and not disks.place().is_symlink()


def test_a_medium_that_the_node_has_not_is_refused_by_name(disks: Disks) -> None:
    with pytest.raises(ApplianceError, match="data asks for medium hdd"):
        disks.volumes.prepare(_with(data=Volume(medium="hdd")))


def test_nothing_is_made_in_the_place_of_a_disk_that_is_not_there(disks: Disks) -> None:
    disks.places["nvme"] = disks.folder / "fast/volumes"
    wanted = _with(data=Volume(medium="nvme"))
    disks.volumes.prepare(wanted)
    (disks.folder / "fast").rename(disks.folder / "unplugged")
    with pytest.raises(ApplianceError, match="data is not there"):
        disks.volumes.prepare(wanted)
    assert not (disks.folder / "fast").exists()
    disks.volumes.remove(wanted)
    assert not disks.place().is_symlink() and (disks.folder / "unplugged/volumes/shop/web-1/data").exists()


def test_a_folder_of_the_node_has_to_be_there_and_is_never_removed(disks: Disks) -> None:
    logs = disks.folder / "logs"
    wanted = _with(logs=Volume(path=str(logs)))
    with pytest.raises(ApplianceError, match="no such folder"):
        disks.volumes.prepare(wanted)
    logs.mkdir()
    disks.volumes.prepare(wanted)
    disks.volumes.remove(wanted)
    assert logs.is_dir()


def test_a_volume_in_memory_has_its_size_and_goes_when_it_is_released(disks: Disks) -> None:
    wanted = _with(fast=Volume(medium="memory", size=1 << 20))
    disks.volumes.prepare(wanted)
    fast = disks.folder / "memory/shop/web-1/fast"
    (fast / "note").write_text("kept while it is prepared again")
    disks.volumes.prepare(wanted)
    assert (fast / "note").exists()
    with pytest.raises(OSError, match="No space"):
        (fast / "big").write_bytes(bytes(1 << 21))
    disks.volumes.release(wanted)
    disks.volumes.release(wanted)
    assert not fast.exists()


def test_nothing_is_removed_through_a_mount(disks: Disks) -> None:
    wanted = _with(data=Volume())
    disks.volumes.prepare(wanted)
    mounts.mount_memory(disks.place() / "disk", mode=0o755)
    (disks.place() / "disk/precious").touch()
    with pytest.raises(ApplianceError) as refused:
        disks.volumes.remove(wanted)
    assert refused.value.where == str(disks.place() / "disk") and (disks.place() / "disk/precious").exists()


def test_a_removal_that_was_interrupted_is_finished_by_the_next(disks: Disks) -> None:
    disks.places["nvme"] = disks.folder / "fast/volumes"
    wanted = msgspec.structs.replace(_with(data=Volume(medium="nvme")))
    disks.volumes.prepare(wanted)
    (disks.folder / "fast/volumes/shop/web-1/data").rmdir()
    disks.volumes.remove(wanted)
    disks.volumes.remove(wanted)
    assert not disks.place().parent.exists()
