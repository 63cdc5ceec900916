"""Whether the disk that etcd writes to is full or slow, told by its free room and by etcd's own metrics."""

import http.client
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.model.store_state import Complaint

LITTLE = 64 * 1024 * 1024
"""Bytes of free room below which etcd may fail: it lays out its log in pieces of this size."""
SLOW = 0.1
"""Seconds. etcd's advice (hardware guide) is that 99 of 100 writes take less than 10 ms; from ten times that on,
members begin to miss each other."""
_FEWEST = 20
"""Writes in a period that say anything."""
_SECONDS = 2.0
_LARGEST = 4 * 1024 * 1024
_BUCKET = re.compile(
    r'^etcd_disk_(wal_fsync|backend_commit)_duration_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE
)

Buckets = Mapping[str, Mapping[float, int]]
"""Operation → upper bound in seconds → how many took at most so long, since etcd's start."""


@dataclass(frozen=True)
class DiskState:
    """`free` in bytes. `buckets` are empty while etcd does not answer."""

    free: int
    buckets: Buckets


class EtcdDisk:
    """`folder` is etcd's data on this host, `metrics_port` that of its metrics on loopback."""

    def __init__(self, folder: Path, metrics_port: int) -> None:
        self._folder = folder
        self._port = metrics_port

    def look(self) -> DiskState:
        """Raises OSError when the folder has gone."""
        return DiskState(shutil.disk_usage(self._folder).free, buckets_in(self._metrics()))

    def _metrics(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read(_LARGEST).decode()
        except (OSError, http.client.HTTPException, ValueError):
            return ""
        finally:
            connection.close()


def buckets_in(text: str) -> Buckets:
    """Out of the text of etcd's metrics (Prometheus' exposition format). Pure."""
    found: dict[str, dict[float, int]] = {}
    for operation, bound, count in _BUCKET.findall(text):
        found.setdefault(operation, {})[float(bound)] = int(float(count))
    return found


def disk_complaints(before: DiskState | None, now: DiskState) -> tuple[Complaint, ...]:
    """What is wrong with the disk, by what happened since `before`. Pure."""
    found = []
    if now.free < LITTLE:
        what = f"The disk of the store's data has {now.free // (1024 * 1024)} MiB left, and etcd may stop."
        found.append(Complaint("disk full", what, "make room on it; the store goes on by itself then"))
    earlier = before.buckets if before else now.buckets
    slowest = max((slow_write(earlier.get(each, {}), buckets) for each, buckets in now.buckets.items()), default=0.0)
    if slowest >= SLOW:
        what = f"The disk of the store's data is slow: one of a hundred writes takes {slowest:g} s or longer."
        found.append(Complaint("disk slow", what, "see what else writes to it, or give etcd a faster one"))
    return tuple(found)


def slow_write(before: Mapping[float, int], now: Mapping[float, int]) -> float:
    """Seconds that one of a hundred writes in between took at least; 0.0 for too few writes. Pure."""
    took = {bound: count - before.get(bound, 0) for bound, count in now.items()}
    total = took.get(float("inf"), 0)
    if total < _FEWEST:
        return 0.0
    below = [bound for bound, count in took.items() if count <= 0.99 * total]
    return max(below, default=0.0)
