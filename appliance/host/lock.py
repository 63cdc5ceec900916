"""One process at a time."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import ApplianceError


@contextlib.contextmanager
def only_one(path: Path, otherwise: ApplianceError) -> Iterator[None]:
    """Hold the lock file `path` (made if missing; it stays); raises `otherwise` when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise otherwise from None
        yield
