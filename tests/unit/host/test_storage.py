"""On which disks volumes lie."""

from pathlib import Path

import pytest

from appliance.host import mounts, storage


@pytest.fixture
def node(tmp_path: Path) -> Path:
    (tmp_path / "volumes").mkdir()
    return tmp_path


def _block(root: Path, number: str, name: str) -> Path:
    """A device of a fake /sys; ``sda/sda1`` is a partition."""
    folder = root / "sys/devices" / name
    (folder / "slaves").mkdir(parents=True)
    (folder / "dev").write_text(f"{number}\n")
    (root / "sys/dev/block").mkdir(parents=True, exist_ok=True)
    (root / "sys/dev/block" / number).symlink_to(folder)
    return folder


def test_volumes_that_do_not_ask_lie_where_all_do(node: Path) -> None:
    found = storage.places(node / "volumes", node / "media")
    assert found[""] == node / "volumes" and set(found.values()) == {node / "volumes"}


def test_a_disk_is_given_by_mounting_or_linking_it(node: Path) -> None:
    mounts.mount_memory(node / "media/nvme", mode=0o755)
    (node / "disk").mkdir()
    (node / "media/hdd").symlink_to(node / "disk")
    found = storage.places(node / "volumes", node / "media")
    assert (found["nvme"], found["hdd"]) == (node / "media/nvme/volumes", node / "media/hdd/volumes")


def test_a_folder_without_its_disk_is_not_one(node: Path) -> None:
    (node / "media/nvme").mkdir(parents=True)
    (node / "media/hdd").symlink_to(node / "unplugged")
    found = storage.places(node / "volumes", node / "media")
    assert node / "media" not in {folder.parent.parent for folder in found.values()}


def test_sizes_are_those_of_the_file_systems(node: Path) -> None:
    mounts.mount_memory(node / "media/nvme", mode=0o755, size=1 << 20)
    sizes = storage.sizes({"": node / "volumes", "nvme": node / "media/nvme/volumes"})
    assert sizes["nvme"] == 1 << 20 < sizes[""]


def test_the_medium_is_that_of_the_disk_below(tmp_path: Path) -> None:
    _block(tmp_path, "259:0", "nvme0n1")
    (_block(tmp_path, "259:1", "nvme0n1/nvme0n1p1") / "partition").write_text("1\n")
    mapped = _block(tmp_path, "253:0", "dm-0")
    (mapped / "slaves/nvme0n1p1").symlink_to(tmp_path / "sys/devices/nvme0n1/nvme0n1p1")
    disk = _block(tmp_path, "8:0", "sda")
    (disk / "queue").mkdir()
    (disk / "queue/rotational").write_text("1\n")
    media = [storage.medium_of_device(number, tmp_path) for number in ("259:0", "259:1", "253:0", "8:0", "0:52", "")]
    assert media == ["nvme", "nvme", "nvme", "hdd", "", ""]
