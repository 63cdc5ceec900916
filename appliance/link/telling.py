"""Tells the nodes that follow this manager what it knows: everything when they begin to, then only what changed."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from appliance.link.messages import Picture
from appliance.loop import Loop
from appliance.store.state import State

Subscribe = Callable[[Callable[[], None]], Callable[[], None]]
"""Calls back after every change, until what it returns is called."""


class Outlet(Protocol):
    """The manager's end of the links."""

    def send(self, node_id: str, message: Picture) -> None: ...

    def followers(self) -> set[str]:
        """Nodes that expect everything this manager knows, of which none has seen more than it."""
        ...


class Telling[T]:
    """A component. `wanted`: what each node is to know, worked out from the state; `news`: the messages that bring one
    from what it knows (None : nothing) to what it is to know. Both pure. It works again after changes of `tables`."""

    def __init__(
        self,
        name: str,
        state: State,
        outlet: Outlet,
        tables: Sequence[Subscribe],
        wanted: Callable[[State], Callable[[str], T]],
        news: Callable[[T | None, T], Iterable[Picture]],
    ) -> None:
        self.name = name
        self._state = state
        self._outlet = outlet
        self._tables = tables
        self._wanted = wanted
        self._news = news
        self._told: dict[str, T] = {}
        self._lock = threading.Lock()
        self._loop = Loop(name, self.cycle)

    def start(self) -> None:
        self._loop.follow(*self._tables)
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def greet(self, node_id: str) -> None:
        """The node follows this manager from now on and expects everything."""
        with self._lock:
            self._told.pop(node_id, None)
        self._loop.wake()

    def cycle(self) -> None:
        """Bring every follower up to date with the state as it is now."""
        followers = self._outlet.followers()  # first: what they have seen is in the state by now
        stamp = self._state.stamp()
        wanted = self._wanted(self._state)
        with self._lock:  # the others are greeted before they are told anything again
            self._told = {node_id: told for node_id, told in self._told.items() if node_id in followers}
        worked_out: dict[tuple[int, int], tuple[T | None, T, tuple[Picture, ...]]] = {}
        for node_id in followers:
            now = wanted(node_id)
            with self._lock:
                before = self._told.get(node_id)
                self._told[node_id] = now
            # Nodes that were told the same before are told the same now.
            known = worked_out.get((id(before), id(now)))
            if known is None:
                messages = tuple(msgspec.structs.replace(message, stamp=stamp) for message in self._news(before, now))
                known = worked_out[id(before), id(now)] = before, now, messages
            for message in known[2]:
                self._outlet.send(node_id, message)


def whole[P: Picture](before: P | None, now: P) -> tuple[P, ...]:
    """The news where every message carries all there is to know."""
    return () if before == now else (now,)
