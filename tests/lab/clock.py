"""The clock of a lab host: all hosts have the machine's, which nobody may set, but one may be given its own, which can.

Only dynamically linked programs of the host see it, the product's Python above all. The kernel and Go's programs (etcd,
the engine) and what runs in containers go by the machine's; that the two disagree makes it all the harder.
"""

import struct
import subprocess
from pathlib import Path

DAY = 86_400.0
PRELOAD = "ld.so.preload"
"""In the host's folder; it becomes the host's /etc/ld.so.preload (ld.so(8))."""
_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """Of the host whose folder is `directory`; to be made before the host is switched on. Needs gcc."""

    def __init__(self, directory: Path) -> None:
        self._offset = directory / "clock"
        self._offset.write_bytes(struct.pack("q", 0))
        library = directory / "clock.so"
        options = ("-O2", "-shared", "-fPIC", "-nostdlib", f'-DOFFSET="{self._offset}"')
        subprocess.run(["gcc", *options, "-o", library, _SOURCE], check=True)
        (directory / PRELOAD).write_text(f"{library}\n")

    def set_ahead(self, seconds: float) -> None:
        """Step it to so many whole seconds ahead of the machine's, or behind it; who runs there sees it at once."""
        with self._offset.open("r+b") as file:
            file.write(struct.pack("q", int(seconds)))
