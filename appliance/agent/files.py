"""The configs and secrets of instances as files on a file system in memory; containers see each as a file of theirs."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.engine.engine import BindMount
from appliance.host import mounts
from appliance.host.files import write_if_changed


@dataclass(frozen=True)
class InstanceFile:
    """`name` is unlike that of any other file of the container; `target` is its path inside."""

    name: str
    target: str
    data: bytes
    mode: int


def in_memory(folder: Path) -> None:
    """So that secrets never reach a disk."""
    mounts.mount_memory(folder, mode=0o700)


class InstanceFiles:
    """``FOLDER/<service>/<deploy>-<index>/<container>/<name>``; nobody but root can look below FOLDER."""

    def __init__(self, folder: Path, mount: Callable[[Path], None] = in_memory) -> None:
        """`mount` makes FOLDER, wherever the engine sees it."""
        self._folder = folder
        self._mount = mount

    def write(self, instance: str, container: str, files: Iterable[InstanceFile]) -> None:
        """Afterwards the container's folder holds these and no others. One that is as it should be is not touched:
        a running container sees the file that it was started with."""
        wanted = {file.name: file for file in files}
        folder = self._folder / instance / container
        if wanted:
            self._mount(self._folder)
        for file in wanted.values():
            write_if_changed(folder / file.name, file.data, mode=file.mode)
            (folder / file.name).chmod(file.mode)
        for path in folder.glob("*"):
            if path.name not in wanted:
                path.unlink()

    def mounts(self, instance: str, container: str, files: Iterable[InstanceFile]) -> tuple[BindMount, ...]:
        folder = self._folder / instance / container
        return tuple(BindMount(str(folder / file.name), file.target, read_only=True) for file in files)

    def remove(self, instance: str) -> None:
        folder = self._folder / instance
        if folder.exists():
            shutil.rmtree(folder)
