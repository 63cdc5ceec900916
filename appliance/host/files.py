"""Files that survive a kill or a power cut: written aside, synced, renamed, and the folder synced."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o600) -> None:
    """Afterwards `path` holds exactly `data`, or, had anything failed, what it held before. Makes parent folders."""
    with atomic_file(path, mode=mode) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def atomic_file(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """For content that comes piece by piece: what is written becomes `path` when the block ends without a failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_if_changed(path: Path, data: bytes | str, *, mode: int = 0o600) -> bool:
    """Write atomically unless `path` holds `data` already; says whether it wrote."""
    raw = data.encode() if isinstance(data, str) else data
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == raw:
            return False
    write_atomic(path, raw, mode=mode)
    return True


def set_aside(path: Path) -> Path:
    """Durably rename what does not parse to ``NAME.damaged``, for people to look at; returns where it is now."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    sync_folder(path.parent)
    return aside


def make_link(path: Path, target: Path) -> None:
    """Afterwards `path` is a symbolic link to `target`, durably. Makes parent folders; FileExistsError if it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or unlink in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
