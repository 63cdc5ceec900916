"""What a process's control group used: processor time and memory, on cgroup version 1 and 2.

Formats: Linux kernel documentation, admin-guide/cgroup-v1/{cpuacct,memory}.rst, admin-guide/cgroup-v2.rst, and
proc_pid_cgroup(5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

UNIFIED = ""
"""The name under which `mounts` has version 2."""


@dataclass(frozen=True)
class Group:
    """The folders of one control group; None where the host does not account for it."""

    cpu: Path | None
    memory: Path | None
    unified: bool

    def cpu_seconds(self) -> float:
        """Processor time so far; 0 where it is not accounted. OSError when the group is gone."""
        if self.cpu is None:
            return 0.0
        if self.unified:
            return _value(self.cpu / "cpu.stat", "usage_usec") / 1e6
        return int((self.cpu / "cpuacct.usage").read_text()) / 1e9

    def memory_bytes(self) -> int:
        """Memory in use without file pages untouched lately, as `docker stats` counts; OSError when it is gone."""
        if self.memory is None:
            return 0
        used, idle = ("memory.current", "inactive_file") if self.unified else _VERSION_1
        whole = int((self.memory / used).read_text())
        return max(0, whole - _value(self.memory / "memory.stat", idle))


_VERSION_1 = ("memory.usage_in_bytes", "total_inactive_file")


def mounts(mountinfo: str) -> dict[str, Path]:
    """Controller → where its hierarchy is mounted, from the text of /proc/self/mountinfo."""
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split(" ")
        place = Path(before.split(" ")[4])
        if kind == "cgroup2":
            found[UNIFIED] = place
        elif kind == "cgroup":
            found |= {option: place for option in options.split(",") if option in ("cpuacct", "memory")}
    return found


def group_of(cgroup: str, mounted: Mapping[str, Path]) -> Group:
    """The group of a process from the text of its /proc/PID/cgroup. Version 1 wins where both are mounted."""
    paths: dict[str, str] = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    places = {
        name: mounted[name] / paths[name].lstrip("/") for name in ("cpuacct", "memory", UNIFIED) if name in paths
        and name in mounted
    }  # fmt: skip
    if "cpuacct" in places or "memory" in places:
        return Group(places.get("cpuacct"), places.get("memory"), unified=False)
    unified = places.get(UNIFIED)
    return Group(unified, unified, unified=True)


def _value(file: Path, name: str) -> int:
    """One value of a flat keyed file; 0 for a name that it has not."""
    for line in file.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
