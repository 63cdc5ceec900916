"""On which disks the volumes of a node lie: its own file system, and disks that an operator gave for a medium."""

import os
from collections.abc import Mapping
from pathlib import Path

from appliance.host.inventory import medium_of_disk

MEDIA = ("nvme", "ssd", "hdd")


def places(volumes: Path, media: Path) -> dict[str, Path]:
    """Medium → folder below which its volumes lie; "" is `volumes`, for those that do not ask.

    A medium is here when a disk is mounted or linked at ``MEDIA/<medium>``, or else when `volumes` lies on one.
    """
    found = {"": volumes}
    own = medium_of_device(_device_of(volumes))
    if own:
        found[own] = volumes
    given = (medium for medium in MEDIA if _is_given(media / medium))
    return found | {medium: media / medium / "volumes" for medium in given}


def sizes(folders: Mapping[str, Path]) -> dict[str, int]:
    """Medium → bytes of the whole file system."""
    seen = {medium: os.statvfs(_existing(folder)) for medium, folder in folders.items()}
    return {medium: found.f_blocks * found.f_frsize for medium, found in seen.items()}


def medium_of_device(device: str, root: Path = Path("/")) -> str:
    """Of the disk below the device ``MAJOR:MINOR``; "" for one that is not known, as of an overlay.

    What is made of several disks (LVM, dm-crypt) is of the medium of the first.
    """
    folder = root / "sys/dev/block" / device
    if not device or not folder.exists():
        return ""
    folder = folder.resolve()
    if (folder / "partition").exists():
        folder = folder.parent
    slaves = sorted((folder / "slaves").glob("*"))
    if slaves:
        return medium_of_device((slaves[0] / "dev").read_text().strip(), root)
    return medium_of_disk(folder)


def _is_given(place: Path) -> bool:
    """A folder at which nothing is mounted may be one whose disk is not there yet."""
    return os.path.ismount(place) or (place.is_symlink() and place.is_dir())


def _device_of(path: Path) -> str:
    """``MAJOR:MINOR`` of the device that the file system of `path` lies on."""
    number = _existing(path).stat().st_dev
    if os.major(number):
        return f"{os.major(number)}:{os.minor(number)}"
    # btrfs gives files a number of its own: the device is what was mounted (proc_pid_mountinfo(5), fields 3 and 10).
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        source = Path(rest.split()[1])
        if fields.split()[2] == f"0:{os.minor(number)}" and source.is_block_device():
            device = source.stat().st_rdev
            return f"{os.major(device)}:{os.minor(device)}"
    return ""


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
