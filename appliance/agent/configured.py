"""A sidecar that takes a new configuration without a restart: tested by the sidecar itself first, then reloaded."""

from collections.abc import Callable
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import ContainerState, Engine
from appliance.errors import EngineError
from appliance.host.files import write_if_changed
from appliance.model.instance import Assignment

ANSWER_WITHIN = 20.0
"""Seconds for the sidecar to test a configuration."""


class ConfiguredSidecar:
    """`folder` is what the container sees as /config. `test`: the command that says whether the sidecar takes the file
    of that name; `reload` has a running container take the configuration that is in force now."""

    def __init__(
        self,
        engine: Engine,
        book: AssignmentBook,
        root_id: str,
        *,
        folder: Path,
        config: str,
        test: Callable[[str], tuple[str, ...]],
        reload: Callable[[ContainerState], None],
    ) -> None:
        self._engine = engine
        self._book = book
        self._root_id = root_id
        self._folder = folder
        self._config = config
        self._test = test
        self._reload = reload

    def bring(self, sidecar: Assignment, text: str) -> None:
        """Have the sidecar run with this configuration. Raises EngineError where it refuses it: the last good one stays
        in force."""
        config = self._folder / self._config
        if config.exists() and config.read_bytes() == text.encode() and self._book.get(sidecar.instance) == sidecar:
            return
        container = self._running(sidecar.instance)
        if container is not None:
            self._ask(container, text)
        write_if_changed(config, text, mode=0o644)
        self._book.put(sidecar)
        if container is not None:
            self._reload(container)

    def end(self, instance: str) -> None:
        if self._book.get(instance) is not None:
            self._book.forget(instance)

    def runs(self, instance: str) -> bool:
        """As the engine says now. Raises EngineUnavailable."""
        return self._running(instance) is not None

    def _running(self, instance: str) -> ContainerState | None:
        found = self._engine.list({ROOT_LABEL: self._root_id, INSTANCE_LABEL: instance})
        return next((container for container in found if container.state == "running"), None)

    def _ask(self, container: ContainerState, text: str) -> None:
        name = f"next.{self._config}"
        write_if_changed(self._folder / name, text, mode=0o644)
        done = self._engine.execute(container.name, self._test(name), ANSWER_WITHIN)
        if done.exit_code != 0:
            raise EngineError(
                "A sidecar does not take its new configuration; the last good one stays in force.",
                where=container.name,
                why=done.output.decode(errors="replace").strip()[-500:],
                next="tell us with the file's text, and what was changed last",
            )
