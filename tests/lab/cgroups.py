"""The cgroup of a lab host, in every hierarchy of the machine (version 1 and 2).

A host's processes, its engine's and its containers' all lie below one cgroup, so they can be listed and none is
missed. The host's own cgroup namespace shows that cgroup as the root, as a real machine would have it.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.waiting import eventually

_TOP = "appliance-lab"
_LEAF = "init"  # version 2 forbids processes beside child groups, so ours live in this child


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy; `options` are what mounting it again needs."""

    path: Path
    kind: str
    options: str


def hierarchies() -> list[Hierarchy]:
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        path = Path(before.split()[4])
        kind, _, options = after.split()[:3]
        if not path.is_relative_to("/sys/fs/cgroup"):
            continue
        if kind == "cgroup":
            controllers = [o for o in options.split(",") if o not in ("rw", "ro", "xattr") and "release_agent" not in o]
            named = any(o.startswith("name=") for o in controllers)
            found.append(Hierarchy(path, kind, ",".join((["none"] if named else []) + controllers)))
        elif kind == "cgroup2":
            found.append(Hierarchy(path, kind, ""))
    return found


class Cgroup:
    """The cgroup `appliance-lab/NAME` in all hierarchies."""

    def __init__(self, name: str) -> None:
        self._name = f"{_TOP}/{name}"

    def create(self) -> None:
        for hierarchy in hierarchies():
            directory = hierarchy.path
            for part in Path(self._name).parts:
                _delegate(directory, hierarchy.kind)
                directory /= part
                directory.mkdir(exist_ok=True)
                _inherit_cpuset(directory)

    def settle(self) -> None:
        """After the host's first process made its namespaces: move everything to the leaf, where version 2 wants it."""
        for directory, kind in self._directories():
            if kind == "cgroup2" and _read(directory / "cgroup.controllers").strip():
                leaf = directory / _LEAF
                leaf.mkdir(exist_ok=True)
                for pid in (directory / "cgroup.procs").read_text().split():
                    (leaf / "cgroup.procs").write_text(pid)
                _delegate(directory, kind)

    def entering(self) -> list[str]:
        """The beginning of a command line which enters this cgroup and then runs the rest."""
        files = []
        for directory, _ in self._directories():
            leaf = directory / _LEAF
            files.append(str((leaf if leaf.exists() else directory) / "cgroup.procs"))
        return ["/bin/sh", "-c", 'for f in $0; do echo $$ > "$f" || exit 1; done; exec "$@"', " ".join(files)]

    def pids(self) -> set[int]:
        """Every process of the host, those of its containers included, by their numbers on the machine."""
        return {
            int(pid)
            for directory, _ in self._directories()
            for procs in _below(directory, "cgroup.procs")
            for pid in _read(procs).split()
        }

    def pids_of_container(self, container_id: str) -> set[int]:
        """The processes of one container of the host's engine, whatever cgroup driver it uses."""
        return {
            int(pid)
            for directory, _ in self._directories()
            for procs in _below(directory, "cgroup.procs")
            if container_id in str(procs)
            for pid in _read(procs).split()
        }

    def kill(self) -> None:
        """SIGKILL until nothing is left, then remove the cgroup. Raises TimeoutError after 30 s."""
        for directory, _ in self._directories():
            for frozen in _below(directory, "freezer.state"):
                if _read(frozen).strip() != "THAWED":
                    frozen.write_text("THAWED")
        eventually(self._kill_all, timeout=30, every=0.05)
        eventually(self._remove, timeout=10, every=0.05)

    def _kill_all(self) -> bool:
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not pids

    def _remove(self) -> bool:
        for directory, _ in self._directories():
            for path, _, _ in os.walk(directory, topdown=False):
                try:
                    Path(path).rmdir()
                except OSError:
                    return False  # a process is still on its way out
        return True

    def _directories(self) -> list[tuple[Path, str]]:
        found = [(hierarchy.path / self._name, hierarchy.kind) for hierarchy in hierarchies()]
        return [(directory, kind) for directory, kind in found if directory.exists()]


def _delegate(directory: Path, kind: str) -> None:
    if kind != "cgroup2":
        return
    available = _read(directory / "cgroup.controllers").split()
    enabled = _read(directory / "cgroup.subtree_control").split()
    for controller in set(available) - set(enabled):
        (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(directory: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (directory / "cgroup.clone_children").exists() and (directory / name).exists():
            (directory / name).write_text((directory.parent / name).read_text())


def _below(directory: Path, name: str) -> Iterator[Path]:
    for path, _, files in os.walk(directory):
        if name in files:
            yield Path(path, name)


def _read(path: Path) -> str:
    """The file's text; empty where the cgroup went away meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""
