"""Folders that outlive an instance's containers, and go when the instance goes."""

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host import mounts
from appliance.host.files import make_link
from appliance.model.instance import Assignment
from appliance.model.service import Volume

log = logging.getLogger(__name__)


class Volumes:
    """``FOLDER/<service>/<deploy>-<index>/<volume>``: a folder, or a link to one on a disk of the wanted medium.

    Where a volume lies is decided when it is made, and stays. `storage`: medium → folder below which its volumes lie
    on this node. Volumes in memory lie below `memory`, each a file system of its own.
    """

    def __init__(self, folder: Path, memory: Path, storage: Callable[[], Mapping[str, Path]]) -> None:
        self._folder = folder
        self._memory = memory
        self._storage = storage

    def prepare(self, assignment: Assignment) -> None:
        """Raises ApplianceError where the node has not what a volume needs."""
        for name, volume in assignment.volumes.items():
            if volume.path:
                _need_folder(name, volume.path)
            elif volume.medium == "memory":
                mounts.mount_memory(self._memory / assignment.instance / name, mode=0o1777, size=volume.size)
            else:
                self._make(assignment.instance, name, volume)

    def release(self, assignment: Assignment) -> None:
        """No container of the instance runs any more: what it had in memory goes."""
        folder = self._memory / assignment.instance
        for point in mounts.mounted_below(folder):
            mounts.unmount(point, lazily=True)
        if folder.exists():
            shutil.rmtree(folder)

    def remove(self, assignment: Assignment) -> None:
        """All but those with `keep`. Nothing is removed through a mount: then ApplianceError says where one is."""
        self.release(assignment)
        folder = self._folder / assignment.instance
        for name, volume in assignment.volumes.items():
            if not volume.keep:
                _remove(folder / name)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()

    def _make(self, instance: str, name: str, volume: Volume) -> None:
        place = self._folder / instance / name
        if place.exists():
            return
        if place.is_symlink():
            raise ApplianceError(
                f"The data of volume {name} is not there.",
                where=str(place.readlink()),
                why="the disk that it was put on is not mounted, or is another one",
                next="mount it again; the instance then starts by itself",
                page="volumes",
            )
        folder = self._place_for(name, volume) / instance / name
        _make_open(folder)
        if folder != place:
            make_link(place, folder)

    def _place_for(self, name: str, volume: Volume) -> Path:
        found = self._storage().get(volume.medium) if volume.medium else self._folder
        if found is None:
            raise ApplianceError(
                f"Volume {name} asks for medium {volume.medium}, and this node has no such disk for volumes.",
                next=f"mount or link one at /var/lib/appliance/media/{volume.medium}, or change the volume",
                page="volumes",
            )
        return found


def _need_folder(name: str, path: str) -> None:
    if not Path(path).is_dir():
        raise ApplianceError(
            f"Volume {name} is the folder {path} of the node, and the node has no such folder.",
            next="make it on this node; the instance then starts by itself",
            page="volumes",
        )


def _make_open(folder: Path) -> None:
    """Images run as any user, so the folders of volumes are open; those above are root's."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)


def _remove(place: Path) -> None:
    folder = place.resolve()
    for point in mounts.mounted_below(folder):
        raise ApplianceError(
            "Something is mounted inside a volume that is to be removed; it was left alone.",
            where=point,
            next=f"umount {point}; the volume is then removed by itself",
            page="volumes",
        )
    if folder.exists():
        shutil.rmtree(folder)
    elif place.is_symlink():
        log.warning("%s is forgotten without its data, which is not there: %s", place, folder)
    if place.is_symlink():
        place.unlink()
