"""The shape of every long-lived part of a role: start, ready, stop; and a group that keeps their order."""

import logging
from collections.abc import Sequence
from typing import Protocol

log = logging.getLogger(__name__)


class Component(Protocol):
    """`start` returns once the part is under way, or raises; `stop` returns once it is gone and may be called twice."""

    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Group:
    """Starts components in the order given and stops them in reverse; a failed start stops those before it."""

    def __init__(self, name: str, components: Sequence[Component]) -> None:
        self.name = name
        self._components = list(components)
        self._started: list[Component] = []

    def start(self) -> None:
        for component in self._components:
            try:
                component.start()
            except BaseException:
                self.stop()
                raise
            self._started.append(component)
            log.info("%s: %s started", self.name, component.name)

    def stop(self) -> None:
        while self._started:
            component = self._started.pop()
            try:
                component.stop()
            except Exception:
                log.exception("%s: %s did not stop cleanly", self.name, component.name)
