"""Echo requests to other hosts' kernels (ICMP, RFC 792): no program has to listen there, and no port is opened."""

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Mapping

_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3
"""Never cut a packet, and never believe an earlier "too large" (linux/in.h, ip(7))."""
_REPLY, _REQUEST = 0, 8
_HEADER = struct.Struct("!BBHHH")
HEADERS = 28
"""Bytes of a packet before an echo's data: 20 of IP, 8 of ICMP."""


class Echo:
    """Context manager. Needs the right to open raw sockets (root)."""

    def __enter__(self) -> "Echo":
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._identity = int.from_bytes(os.urandom(2))
        self._number = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, sizes: Mapping[str, int], patience: float) -> dict[str, float]:
        """Address → seconds until its answer, of those that answered within `patience` seconds.

        `sizes`: address → bytes of the packet, headers included. None of them is cut on its way.
        """
        self._number = (self._number + 1) & 0xFFFF
        sent: dict[str, float] = {}
        for address, size in sizes.items():
            sent[address] = time.monotonic()
            # What does not fit into an interface, or has no route, is refused at once, and so not answered.
            with contextlib.suppress(OSError):
                self._socket.sendto(self._request(max(0, size - HEADERS)), (address, 0))
        answered: dict[str, float] = {}
        deadline = time.monotonic() + patience
        while len(answered) < len(sent) and (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                answered |= {who: at - sent[who] for who, at in self._answers() if who in sent and who not in answered}
        return answered

    def _request(self, room: int) -> bytes:
        data = bytes(room)
        header = _HEADER.pack(_REQUEST, 0, 0, self._identity, self._number)
        return _HEADER.pack(_REQUEST, 0, checksum(header + data), self._identity, self._number) + data

    def _answers(self) -> list[tuple[str, float]]:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, (sender, _) = self._socket.recvfrom(1 << 16)
                begin = (packet[0] & 0xF) * 4
                kind, _, _, identity, number = _HEADER.unpack_from(packet, begin)
                if (kind, identity, number) == (_REPLY, self._identity, self._number):
                    found.append((sender, time.monotonic()))
        return found


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
