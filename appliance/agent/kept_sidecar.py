"""Keeps one of this node's sidecars, and the configuration that it reads at its start, as `update` last wanted them."""

from collections.abc import Mapping
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.host.files import write_if_changed
from appliance.loop import Loop
from appliance.model.instance import Assignment


class KeptSidecar:
    """A component. `folder` is what the container reads its configuration from; nobody else writes there."""

    def __init__(self, name: str, book: AssignmentBook, folder: Path) -> None:
        self.name = name
        self._book = book
        self._folder = folder
        self._wanted: tuple[Assignment, Mapping[str, str]] | None = None
        self._loop = Loop(name, self.cycle, interval=300.0)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """The sidecar goes on."""
        self._loop.stop()

    def update(self, sidecar: Assignment, files: Mapping[str, str]) -> None:
        """Returns at once; `files` are texts by name. Before the first call everything stays as it was when the agent
        last ran."""
        self._wanted = sidecar, files
        self._loop.wake()

    def cycle(self) -> None:
        """Raises OSError."""
        if self._wanted is None:
            return
        sidecar, files = self._wanted
        for mount in (mount for container in sidecar.containers for mount in container.mounts):
            Path(mount.source).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in files.items():
            write_if_changed(self._folder / name, text, mode=0o644)
        self._book.put(sidecar)
