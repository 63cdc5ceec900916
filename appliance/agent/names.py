"""The file with the names of all instances, which every container sees as its /etc/hosts."""

import threading
from pathlib import Path

_LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"


class HostsFile:
    """Written in place: containers mount the file itself, and a new inode would not reach them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        if not path.exists():
            self.update({})

    def update(self, names: dict[str, str]) -> None:
        """`names`: instance → address, "" for those without one."""
        text = hosts_text(names).encode()
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.read_bytes() == text:
                return
            self._path.touch(mode=0o644)
            with self._path.open("r+b") as file:
                file.write(text)
                file.truncate()


def hosts_text(names: dict[str, str]) -> str:
    """``10.128.1.2 web-2.shop web.shop``: the instance, then its deploy, whose name so stands for all its instances."""
    lines = []
    for name, address in sorted(names.items()):
        if address:
            service, _, instance = name.partition("/")
            deploy = instance.rpartition("-")[0]
            lines.append(f"{address} {instance}.{service} {deploy}.{service}\n")
    return _LOCAL + "".join(lines)
