"""The hardware of a node that specs can ask for: GPUs, disks, device files. Read below a root, for tests ``/``."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.model.node import Disk, Gpu

MOST_DEVICES = 500
_SECTOR = 512
"""Bytes; the unit of /sys/block/*/size whatever the disk's own is (kernel.org, "sysfs-block")."""
_NO_DISKS = re.compile(r"(loop|ram|zram|dm-|md|sr|fd|nbd)")
_NO_DEVICES = re.compile(r"(tty\d|vcs|loop|z?ram|pts$|shm$|mqueue$|fd$|hugepages$)")


def gpus(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """Those of NVIDIA's driver, in the order of their bus addresses (its README, "The /proc interface")."""
    files = sorted(root.glob("proc/driver/nvidia/gpus/*/information"))
    return tuple(gpu for file in files if (gpu := _gpu(file.read_text(errors="replace"))) is not None)


def disks(root: Path = Path("/")) -> tuple[Disk, ...]:
    """Whole disks, by name; not what the kernel makes out of them or of memory."""
    folders = sorted(root.glob("sys/block/*"))
    found = (_disk(folder) for folder in folders if not _NO_DISKS.match(folder.name))
    return tuple(disk for disk in found if disk.size)


def devices(root: Path = Path("/")) -> tuple[str, ...]:
    """Paths of device files, without those of terminals, of the kernel's memory and the like; MOST_DEVICES at most."""
    found = sorted(f"/{path.relative_to(root)}" for path in _device_files(root / "dev"))
    return tuple(found[:MOST_DEVICES])


def medium_of_disk(folder: Path) -> str:
    """Of a disk by its folder in /sys/block: ``nvme``, ``ssd`` or ``hdd``."""
    if folder.name.startswith("nvme"):
        return "nvme"
    return "hdd" if _read(folder / "queue/rotational") == "1" else "ssd"


def _gpu(information: str) -> Gpu | None:
    fields = dict(line.split(":", 1) for line in information.splitlines() if ":" in line)
    identity = fields.get("GPU UUID", "").strip()
    # The driver shows question marks for a GPU that it could not start.
    return Gpu(id=identity, model=fields.get("Model", "").strip()) if identity and "?" not in identity else None


def _disk(folder: Path) -> Disk:
    return Disk(
        name=folder.name,
        medium=medium_of_disk(folder),
        size=int(_read(folder / "size") or 0) * _SECTOR,
        model=_read(folder / "device/model"),
    )


def _device_files(folder: Path) -> Iterator[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for path in entries:
        mode = _mode(path)
        if _NO_DEVICES.match(path.name):
            continue
        if stat.S_ISDIR(mode):
            yield from _device_files(path)
        elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            yield path


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0  # unplugged just now


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
