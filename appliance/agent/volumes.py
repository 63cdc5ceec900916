"""Folders that outlive an instance's containers, and go when the instance goes."""

import shutil
from pathlib import Path

from appliance.model.instance import Assignment


class Volumes:
    """``FOLDER/<service>/<deploy>-<index>/<volume>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, assignment: Assignment) -> None:
        """Images run as any user, so the folders of volumes are open; those above are root's."""
        for name in assignment.volumes:
            volume = self._folder / assignment.instance / name
            if not volume.exists():
                volume.mkdir(parents=True, exist_ok=True)
                volume.chmod(0o777)

    def remove(self, assignment: Assignment) -> None:
        """All but those with `keep`."""
        instance = self._folder / assignment.instance
        for name, volume in assignment.volumes.items():
            if not volume.keep and (instance / name).exists():
                shutil.rmtree(instance / name)
        if instance.exists() and not any(instance.iterdir()):
            instance.rmdir()
