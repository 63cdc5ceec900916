"""The folder of a manager's backups: which there are, and which of them are too many."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from appliance.delivery.backup_file import read_header
from appliance.errors import ApplianceError, NotFound, Refused
from appliance.host.files import atomic_file, sync_folder
from appliance.model.backup import BackupHeader

SUFFIX = ".backup"


def name_of(header: BackupHeader) -> str:
    """``appliance-shop-m1-20261125T125600123Z.backup``"""
    moment = "".join(letter for letter in header.made_at if letter.isalnum())
    return f"appliance-{header.cluster_name}-{header.node_name}-{moment}{SUFFIX}"


def backups_in(folder: Path) -> dict[str, BackupHeader]:
    """Name → what it says of itself, oldest first; what is no backup of ours is passed over."""
    found = {}
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(Refused, OSError):
            found[path.name] = read_header(path)
    return dict(sorted(found.items(), key=lambda each: (each[1].made_at, each[0])))


def in_order(found: Mapping[str, BackupHeader], now: str) -> list[str]:
    """Names, oldest first. What is dated after `now` was made by a wrong clock, and counts as older than all. Pure."""
    return sorted(found, key=lambda name: (found[name].made_at <= now, found[name].made_at, name))


def surplus(found: Mapping[str, BackupHeader], cluster: str, node: str, keep: int, now: str) -> list[str]:
    """Those that this manager's schedule made, beyond the newest `keep`. What people made is theirs to remove. Pure."""
    headers = ((name, found[name]) for name in in_order(found, now))
    own = [
        name for name, header in headers if header.by == "schedule" and (header.cluster, header.node) == (cluster, node)
    ]
    return own[: max(0, len(own) - keep)]


def find(folder: Path, name: str) -> Path:
    """Raises NotFound for a name that is not one of the folder's backups."""
    path = folder / name
    if Path(name).name != name or not name.endswith(SUFFIX) or not path.is_file():
        raise NotFound(f"There is no backup called {name} on this manager.", next="see: appliance backup ls")
    return path


def copy_to(source: Path, target: Path) -> None:
    """Afterwards `target` is a whole copy on the disk, or there is none. Raises ApplianceError."""
    try:
        with source.open("rb") as whole, atomic_file(target) as copy:
            shutil.copyfileobj(whole, copy, 1 << 20)
    except OSError as error:
        raise ApplianceError(
            "The backup could not be copied.",
            where=str(target),
            why=error.strerror or str(error),
            next=f"the one on this manager is whole: {source}",
            page="backup#no-room",
        ) from error


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
