"""Gives chrony what the link measured: all that keeps the clock of a node that managers dial, where NTP has no way."""

import socket
import struct
from contextlib import suppress
from pathlib import Path

from appliance.model.skew import Skew

_SAMPLE = struct.Struct("@qqdiiii")
"""`struct sock_sample` of chrony's refclock_sock.c on 64-bit machines: seconds and microseconds of the sample (struct
timeval), true time minus the clock's in seconds, pulse, leap, padding, magic."""
_MAGIC = 0x534F434B


def sample(skew: Skew, clock: float) -> bytes:
    """`clock`: this machine's time of the measurement, in seconds since 1970. Pure."""
    seconds, rest = divmod(clock, 1)
    return _SAMPLE.pack(int(seconds), int(rest * 1e6), -skew.offset, 0, 0, 0, _MAGIC)


class ClockFeed:
    """`path`: the socket on which chronyd listens. Never blocks, and does nothing while it does not listen."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, skew: Skew, clock: float) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender, suppress(OSError):
            sender.sendto(sample(skew, clock), str(self._path))
