"""Who uses how much memory and processor time on a lab host, by what the processes are for."""

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.lab.host import Host

_ENGINE = ("dockerd", "containerd", "containerd-shim", "runc")


@dataclass(frozen=True)
class Usage:
    """`rss` and `pss` in MB (PSS counts a page shared by n processes as 1/n); `cpu` in percent of one core."""

    rss: float
    pss: float
    cpu: float


def usage(host: Host, seconds: float) -> dict[str, Usage]:
    """By purpose: manager, agent, run, engine, etcd, nginx, registry and what else there is, over `seconds`."""
    before = _ticks(host)
    begun = time.monotonic()
    time.sleep(seconds)  # the length of the sample, not a wait for something
    after = _ticks(host)
    per_second = os.sysconf("SC_CLK_TCK") * (time.monotonic() - begun)
    rss: dict[str, float] = defaultdict(float)
    pss: dict[str, float] = defaultdict(float)
    cpu: dict[str, float] = defaultdict(float)
    for pid in host.pids():
        try:
            purpose = _purpose(pid)
            rss[purpose] += _kilobytes(f"/proc/{pid}/smaps_rollup", "Rss:") / 1024
            pss[purpose] += _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") / 1024
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        cpu[purpose] += 100 * (after.get(pid, 0) - before.get(pid, 0)) / per_second
    return {purpose: Usage(rss[purpose], pss[purpose], cpu[purpose]) for purpose in rss}


def _ticks(host: Host) -> dict[int, int]:
    found = {}
    for pid in host.pids():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[pid] = int(fields[11]) + int(fields[12])
    return found


def _purpose(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    if "role" in words:
        return words[words.index("role") + 1]
    if "run" in words and any("appliance" in word for word in words):
        return "run"
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    return "engine" if name.startswith(_ENGINE) else name.split(":")[0]


def _kilobytes(path: str, field: str) -> float:
    return next(float(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(field))
