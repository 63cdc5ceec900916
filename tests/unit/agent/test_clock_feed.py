"""What chrony gets from the link, byte by byte."""

import ctypes
import socket
from pathlib import Path

from appliance.agent.clock_feed import ClockFeed, sample
from appliance.model.skew import Skew


class SockSample(ctypes.Structure):
    """As refclock_sock.c of chrony 4.6 declares it."""

    _fields_ = [
        ("tv_sec", ctypes.c_long),
        ("tv_usec", ctypes.c_long),
        ("offset", ctypes.c_double),
        ("pulse", ctypes.c_int),
        ("leap", ctypes.c_int),
        ("_pad", ctypes.c_int),
        ("magic", ctypes.c_int),
    ]


AHEAD = Skew(offset=0.25, error=0.001)


def test_a_sample_has_the_layout_of_chronys_structure() -> None:
    encoded = sample(AHEAD, 1_700_000_000.5)
    assert len(encoded) == ctypes.sizeof(SockSample)
    read = SockSample.from_buffer_copy(encoded)
    assert (read.tv_sec, read.tv_usec, read.pulse, read.leap) == (1_700_000_000, 500_000, 0, 0)
    assert read.magic.to_bytes(4) == b"SOCK"


def test_a_clock_that_is_ahead_is_to_go_back() -> None:
    assert SockSample.from_buffer_copy(sample(AHEAD, 0.0)).offset == -0.25


def test_samples_reach_the_socket_and_are_lost_while_nobody_listens(tmp_path: Path) -> None:
    feed = ClockFeed(tmp_path / "link.sock")
    feed.tell(AHEAD, 1.0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as chronyd:
        chronyd.bind(str(tmp_path / "link.sock"))
        feed.tell(AHEAD, 2.0)
        assert chronyd.recv(100) == sample(AHEAD, 2.0)
