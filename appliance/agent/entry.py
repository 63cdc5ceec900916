"""Keeps this node's entry sidecar and its configuration as the newest rules want them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import Engine
from appliance.errors import EngineError
from appliance.host.files import write_if_changed
from appliance.loop import Loop
from appliance.model.entry import EntryRule
from appliance.model.instance import Assignment

log = logging.getLogger(__name__)

RELOAD_WITHIN = 20.0
"""Seconds for the sidecar to test or to take a configuration."""

CONFIG, _NEXT = "nginx.conf", "next.conf"

Make = Callable[[Sequence[EntryRule]], tuple[Assignment, str]]
"""Rules → the sidecar and the text of its configuration. Pure."""


class EntryServer:
    """A component. Without a rule there is no sidecar, and the node's port stays free.

    `folder` is what the container sees as /config; `program` is what it runs, without a configuration.
    """

    name = "entry"

    def __init__(
        self, engine: Engine, book: AssignmentBook, root_id: str, make: Make, folder: Path, program: str
    ) -> None:
        self._engine = engine
        self._book = book
        self._root_id = root_id
        self._make = make
        self._folder = folder
        self._program = program
        self._rules: tuple[EntryRule, ...] | None = None
        self._loop = Loop(self.name, self.cycle, interval=300.0)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def update(self, rules: tuple[EntryRule, ...]) -> None:
        """Returns at once; before the first call everything stays as it was when the agent last ran."""
        self._rules = rules
        self._loop.wake()

    def cycle(self) -> None:
        """Raises EngineError when the sidecar refuses the configuration: the last good one stays in force."""
        rules = self._rules
        if rules is None:
            return
        sidecar, text = self._make(rules)
        if not rules:
            if self._book.get(sidecar.instance) is not None:
                self._book.forget(sidecar.instance)
            return
        config = self._folder / CONFIG
        if config.exists() and config.read_text() == text and self._book.get(sidecar.instance) == sidecar:
            return
        container = self._running(sidecar.instance)
        if container is not None:
            self._test(container, text)
        write_if_changed(config, text, mode=0o644)
        self._book.put(sidecar)
        if container is not None:
            self._run(container, CONFIG, "-s", "reload")

    def _running(self, instance: str) -> str | None:
        found = self._engine.list({ROOT_LABEL: self._root_id, INSTANCE_LABEL: instance})
        return next((container.name for container in found if container.state == "running"), None)

    def _test(self, container: str, text: str) -> None:
        write_if_changed(self._folder / _NEXT, text, mode=0o644)
        self._run(container, _NEXT, "-t")

    def _run(self, container: str, config: str, *arguments: str) -> None:
        command = (self._program, "-c", f"/config/{config}", "-e", "stderr", *arguments)
        done = self._engine.execute(container, command, RELOAD_WITHIN)
        if done.exit_code != 0:
            raise EngineError(
                "The entry does not take its new rules; the last good ones stay in force.",
                where=container,
                why=done.output.decode(errors="replace").strip()[-500:],
                next="see: appliance logs of the entry sidecar",
            )
