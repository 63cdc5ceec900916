"""Tells the link which nodes it has to connect to by itself: those that may not dial a manager."""

from collections.abc import Callable
from typing import Protocol

from appliance.model.cluster import LINK_PORT
from appliance.store.state import State


class Dialler(Protocol):
    """What a manager's end of the links does here."""

    def set_dial_targets(self, targets: dict[str, tuple[str, int]]) -> None: ...


class DialTargets:
    """A component."""

    name = "dial targets"

    def __init__(self, state: State, link: Dialler) -> None:
        self._state = state
        self._link = link
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._unsubscribe = self._state.nodes.subscribe(self._update)
        self._update()

    def stop(self) -> None:
        self._unsubscribe()

    def _update(self) -> None:
        nodes = self._state.nodes.all().values()
        self._link.set_dial_targets({node.id: (node.address, LINK_PORT) for node in nodes if node.dial == "manager"})
