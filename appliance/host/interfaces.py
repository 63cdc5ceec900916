"""The host's IPv4 addresses and routes, read from the kernel; never guessed from a default route."""

import fcntl
import ipaddress
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import UsageError

_SIOCGIFADDR = 0x8915
_SIOCGIFNETMASK = 0x891B
_OURS = ("lo", "docker", "veth", "br-", "appliance", "flannel")


@dataclass(frozen=True)
class InterfaceAddress:
    interface: str
    address: ipaddress.IPv4Interface


def addresses() -> list[InterfaceAddress]:
    """The first IPv4 address of every interface that has one (netdevice(7))."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                address = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24]
                mask = fcntl.ioctl(probe.fileno(), _SIOCGIFNETMASK, request)[20:24]
            except OSError:
                continue
            text = f"{socket.inet_ntoa(address)}/{socket.inet_ntoa(mask)}"
            found.append(InterfaceAddress(name, ipaddress.IPv4Interface(text)))
    return found


def choose_address(wanted: str | None) -> str:
    """The address by which other nodes reach this one: `wanted`, or the only candidate. Raises UsageError."""
    own = [str(item.address.ip) for item in addresses()]
    if wanted is not None:
        if wanted not in own:
            raise UsageError(
                f"This host does not have the address {wanted}.",
                why=f"its addresses are {', '.join(own)}",
                next="pass one of them with --address",
            )
        return wanted
    candidates = [str(i.address.ip) for i in addresses() if not i.interface.startswith(_OURS)]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        return "127.0.0.1"
    raise UsageError(
        "This host has several addresses, and only you know which one other nodes can reach.",
        why=f"candidates are {', '.join(candidates)}",
        next=f"say which: --address {candidates[0]}",
    )


def routes() -> list[tuple[str, ipaddress.IPv4Network]]:
    """(interface, destination) of every IPv4 route except the default one (proc(5), /proc/net/route)."""
    found = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        interface, destination, *_rest = line.split()
        mask = line.split()[7]
        network = ipaddress.IPv4Network((_little_endian(destination), bin(int(mask, 16)).count("1")), strict=False)
        if network.prefixlen:
            found.append((interface, network))
    return found


def _little_endian(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text), "little")
