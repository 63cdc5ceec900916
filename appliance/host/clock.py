"""Who keeps this host's clock, and whether we could."""

from pathlib import Path

TIME_DAEMONS = {
    "chronyd": "chronyd",
    "ntpd": "ntpd",
    "systemd-timesyn": "systemd-timesyncd",
    "phc2sys": "phc2sys",
}
"""Programs that set the clock, by the name that the kernel keeps (15 letters; proc_pid_comm(5))."""
_CAP_SYS_TIME = 25
"""linux/capability.h."""


def time_daemon(proc: Path = Path("/proc")) -> str:
    """The first running program that sets the clock, "" for none. Containers' programs count: the clock is the same."""
    for comm in proc.glob("[0-9]*/comm"):
        try:
            name = TIME_DAEMONS.get(comm.read_text().strip())
        except OSError:
            continue  # it has ended
        if name:
            return name
    return ""


def may_set(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process may set the clock: root of most containers and of some virtual servers may not."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_TIME & 1)
    return False
