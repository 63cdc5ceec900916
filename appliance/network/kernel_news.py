"""Hears from the kernel when a part of the overlay was taken away, so that nobody has to look all the time.

Two netlink sockets in plain Python: links, addresses, routes, neighbours and forwarding (rtnetlink(7)), and the
firewall's rules (nfnetlink; `iptables` writes the same ones). Most of what a busy node says is of no interest here:
`matters` picks out what is.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from select import select

_NETFILTER = 12
"""NETLINK_NETFILTER, which Python's socket module does not name."""
_ROUTE_GROUPS = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 23
"""Links, neighbours (and bridge entries), IPv4 addresses, IPv4 routes, IPv4 forwarding (linux/rtnetlink.h)."""
_NFTABLES_GROUP = 1 << 6
_HEADER = struct.Struct("=IHHII")

_LINK, _ADDRESS, _ROUTE_GONE, _NEIGHBOUR_GONE, _FORWARDING = {16, 17}, {20, 21}, 25, 29, 80
_TABLE_GONE, _CHAIN_OR_RULE = 0xA02, {0xA05, 0xA06, 0xA08}
_CHAINS = (b"FORWARD\0", b"POSTROUTING\0", b"PREROUTING\0", b"DOCKER\0")
"""Ends of the names of chains that hold our rules or jump to them, and of the engine's for published ports."""
_TABLES = (b"filter\0", b"nat\0")
_PAUSE = 1.0
"""Seconds between two calls at least; what arrives meanwhile is looked at together."""


class KernelNews:
    """A component. `on_change` is called in its thread, at once after a change and then once a second at most.

    `device` names the interface whose routes and neighbours count.
    """

    name = "kernel-news"

    def __init__(self, device: str, on_change: Callable[[], None]) -> None:
        self._device = device
        self._on_change = on_change
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises OSError where the kernel has no such sockets."""
        self._stopping.clear()
        sockets = [_listening(0, _ROUTE_GROUPS), _listening(_NETFILTER, _NFTABLES_GROUP)]
        self._ending, ended = socket.socketpair()
        self._thread = threading.Thread(target=self._run, args=(sockets, ended), name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self._stopping.set()
        self._ending.close()
        self._thread.join()
        self._thread = None

    def _run(self, sockets: list[socket.socket], ended: socket.socket) -> None:
        while not self._stopping.is_set():
            readable, _, _ = select([*sockets, ended], [], [])
            if any(self._heard(each) for each in readable if each is not ended):
                self._on_change()
                self._stopping.wait(_PAUSE)
        for each in (*sockets, ended):
            each.close()

    def _heard(self, source: socket.socket) -> bool:
        """Read all there is; whether any of it matters."""
        found = False
        while True:
            try:
                data = source.recv(1 << 18)
            except BlockingIOError:
                return found
            except OSError:  # ENOBUFS: more was said than there was room for
                found = True
                continue
            index = _index_of(self._device)
            found = found or any(matters(kind, body, index) for kind, body in messages(data))


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each message of one datagram (netlink(7))."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def matters(kind: int, body: bytes, device: int) -> bool:
    """Whether a message may mean that something of the overlay is missing. `device`: number of its interface. Pure."""
    if kind in _LINK:
        return b"veth" not in body[16:40]  # containers come and go; the name is the first attribute
    if kind in _ADDRESS:
        return True
    if kind == _FORWARDING:
        return struct.pack("=HHi", 8, 1, -1) in body  # NETCONFA_IFINDEX: of the whole host, not of one interface
    if kind == _ROUTE_GONE:
        return struct.pack("=HHi", 8, 4, device) in body  # RTA_OIF
    if kind == _NEIGHBOUR_GONE:
        return body[4:8] == struct.pack("=i", device)
    if kind == _TABLE_GONE:
        return any(name in body for name in _TABLES)
    return kind in _CHAIN_OR_RULE and any(name in body for name in _CHAINS)


def _index_of(device: str) -> int:
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0


def _listening(protocol: int, groups: int) -> socket.socket:
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    found.bind((0, groups))
    return found
