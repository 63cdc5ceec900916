"""Tells the link which nodes it has to connect to by itself: those that may not dial a manager."""

from collections.abc import Callable

from appliance.link.manager_end import ManagerLink
from appliance.model.cluster import LINK_PORT
from appliance.store.state import State


class Dialling:
    """A component."""

    name = "dialling"

    def __init__(self, state: State, link: ManagerLink) -> None:
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
