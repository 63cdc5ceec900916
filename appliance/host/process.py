"""Processes that we started: found again by a pid file that a reused pid cannot fool."""

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from appliance.host.files import write_atomic

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessMark:
    """A process by pid and start time (in clock ticks since boot, field 22 of /proc/PID/stat)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessMark | None":
        """None when there is no such process, or only its zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        return ProcessMark.of(self.pid) == self

    def end(self, grace: float) -> bool:
        """SIGTERM, and SIGKILL after `grace` seconds; returns once it is gone. False when it will not go."""
        for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            deadline = time.monotonic() + wait
            if not self.alive():
                return True
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return True
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.02)
        return not self.alive()


def age_of(pid: int) -> float | None:
    """Seconds since the process began, by a clock that nobody sets; None when there is no such process."""
    mark = ProcessMark.of(pid)
    if mark is None:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - mark.started / os.sysconf("SC_CLK_TCK")


def cgroup_of(pid: int) -> str:
    """The text of /proc/PID/cgroup (cgroups(7)); "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def plain_environment() -> dict[str, str]:
    """For processes of ours: proxy settings of whoever started us must not reach them."""
    return {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}


def write_pid_file(path: Path, pid: int) -> None:
    mark = ProcessMark.of(pid)
    if mark is not None:
        write_atomic(path, f"{mark.pid} {mark.started}\n", mode=0o644)


def read_pid_file(path: Path) -> ProcessMark | None:
    """The running process that the file names; None when there is none (any more)."""
    try:
        pid, started = path.read_text().split()
        mark = ProcessMark(int(pid), int(started))
    except (FileNotFoundError, ValueError):
        return None
    return mark if mark.alive() else None


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent dies (prctl(2), PR_SET_PDEATHSIG)."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
