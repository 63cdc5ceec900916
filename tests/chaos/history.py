"""What happened in a run, in order, as lines of JSON: kept when something was wrong, to be read afterwards."""

import json
import threading
import time
from pathlib import Path


class History:
    """Thread-safe. Moments are seconds since the run began."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        self._lock = threading.Lock()
        self._begun = time.monotonic()

    def write(self, kind: str, **more: object) -> None:
        line = json.dumps({"at": round(time.monotonic() - self._begun, 3), "kind": kind, **more}, default=str)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()
