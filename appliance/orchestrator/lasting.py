"""How long something has been so, by one's own clock: no clocks of two machines are ever compared."""

from collections.abc import Callable, Hashable, Iterable


class Lasting[K: Hashable]:
    """`clock` counts seconds and never goes back. Not thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[K, tuple[Hashable, float]] = {}

    def note(self, key: K, value: Hashable) -> float:
        """Seconds since `key` was first noted with this value, without another in between."""
        now = self._clock()
        known = self._known.get(key)
        if known is None or known[0] != value:
            known = self._known[key] = (value, now)
        return now - known[1]

    def keep(self, keys: Iterable[K]) -> None:
        """Forget all others."""
        self._known = {key: self._known[key] for key in keys if key in self._known}

    def clear(self) -> None:
        self._known.clear()
