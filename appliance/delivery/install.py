"""Putting a release under the root: versioned folders, and a `current` link that changes in one step."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from appliance import VERSION
from appliance.errors import ApplianceError
from appliance.host.files import sync_folder
from appliance.host.layout import Layout

PROGRAM = Path("/usr/local/bin/appliance")
"""Where people's shells find the release in use, on a machine's own installation."""


def install_release(layout: Layout, file: Path) -> Path:
    """Copy the package `file` below ``releases/`` and make it current, also for shells; returns its new path.

    A file that is already there with the same bytes is kept, so a running release is never written to. One with
    the same version but other bytes goes beside it, under a name that carries the start of its digest.
    One caller at a time: what an interrupted copy left is removed.
    """
    for abandoned in layout.releases.glob("*/.appliance.*"):
        abandoned.unlink(missing_ok=True)
    digest = _digest(file)
    target = layout.releases / f"{VERSION}-{digest[:12]}" / "appliance"
    if not (target.exists() and target.stat().st_size == file.stat().st_size and _digest(target) == digest):
        _copy(file, target)
    _point(layout.current, target.parent)
    if layout.root == Path("/") and not os.path.lexists(PROGRAM):
        _point(PROGRAM, layout.current / "appliance")
    return target


def forget_program(layout: Layout) -> None:
    """Remove the link that `install_release` made, if it still is ours."""
    wanted = os.path.relpath(layout.current / "appliance", PROGRAM.parent)
    if layout.root == Path("/") and PROGRAM.is_symlink() and str(PROGRAM.readlink()) == wanted:
        PROGRAM.unlink()


def is_installed(layout: Layout, file: Path) -> bool:
    """Whether the release in use is this very file, byte for byte."""
    current = layout.current / "appliance"
    if not current.exists():
        return False
    return current.samefile(file) or (
        current.stat().st_size == file.stat().st_size and _digest(current) == _digest(file)
    )


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(".appliance.new")
    try:
        with file.open("rb") as source, temporary.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
            os.fchmod(copy.fileno(), 0o755)
            copy.flush()
            os.fsync(copy.fileno())
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ApplianceError(
            "The release could not be installed.",
            where=str(target),
            why=str(error),
            next="make room (see `appliance preflight`) and run the same command again",
        ) from error
    sync_folder(target.parent)


def _point(link: Path, target: Path) -> None:
    wanted = os.path.relpath(target, link.parent)
    if link.is_symlink() and str(link.readlink()) == wanted:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(wanted)
    temporary.replace(link)
    sync_folder(link.parent)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
