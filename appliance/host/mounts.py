"""File systems in memory that we mount, and what else is mounted below a folder."""

import ctypes
import os
from pathlib import Path

_NOSUID, _NODEV = 2, 4
_DETACH = 2
"""MNT_DETACH of umount2(2): out of sight at once, gone when the last one lets go of it."""


def mount_memory(folder: Path, *, mode: int, size: int = 0) -> None:
    """Have a tmpfs of `size` bytes (0 : half of the memory) at `folder`, which is made; one that is there is left."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.path.ismount(folder):
        return
    options = f"mode={mode:o}" + (f",size={size}" if size else "")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"appliance", os.fsencode(folder), b"tmpfs", _NOSUID | _NODEV, options.encode()) != 0:
        raise _failed(str(folder))


def unmount(point: str, *, lazily: bool = False) -> None:
    """`lazily`: also while somebody uses it. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(point), _DETACH if lazily else 0) != 0:
        raise _failed(point)


def mounted_below(*folders: Path) -> list[str]:
    """Where something is mounted below the folders (not at one of them); deepest first."""
    prefixes = tuple(f"{folder.resolve()}/" for folder in folders)
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return sorted((point for point in points if point.startswith(prefixes)), key=len, reverse=True)


def _failed(point: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), point)
