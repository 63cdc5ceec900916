"""The host's IPv4 addresses and routes, read from the kernel; never guessed from a default route."""

import array
import contextlib
import fcntl
import ipaddress
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import UsageError

_SIOCGIFCONF = 0x8912
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


def local_addresses() -> list[tuple[str, str]]:
    """(interface, address) of every IPv4 address of this host (netdevice(7), SIOCGIFCONF)."""
    # struct ifreq: a name of 16 bytes, then a sockaddr_in of 16 whose address is at offset 4, padded to 40 in all.
    size, room = 40, 4096
    buffer = array.array("B", bytes(size * room))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFCONF, struct.pack("iP", len(buffer), buffer.buffer_info()[0]))
    used, _ = struct.unpack("iP", answer)
    entries = [buffer[at : at + size].tobytes() for at in range(0, used, size)]
    # A label, if the address has one, is the interface's name and a colon in front of more.
    return [(_name(entry[:16]).partition(":")[0], socket.inet_ntoa(entry[20:24])) for entry in entries]


def is_local(address: str) -> bool:
    return interface_of(address) != ""


def exists(interface: str) -> bool:
    return interface in {name for _, name in socket.if_nameindex()}


def interface_of(address: str) -> str:
    """The interface that has the address, "" for none."""
    return next((interface for interface, local in local_addresses() if local == address), "")


def interface_towards(address: str) -> str:
    """The interface with the smallest network that has the address in it, "" for none."""
    wanted = ipaddress.IPv4Address(address)
    found = [item for item in addresses() if wanted in item.address.network and not item.interface.startswith(_OURS)]
    return max(found, key=lambda item: item.address.network.prefixlen).interface if found else ""


def remove_address(interface: str, address: str, length: int) -> None:
    """Take an address off an interface, with the program `ip` found by PATH; a missing one is no error."""
    command = ["ip", "address", "delete", f"{address}/{length}", "dev", interface]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=10)


def choose_address(wanted: str | None) -> str:
    """The address by which other nodes reach this one: `wanted`, or the only candidate. Raises UsageError."""
    if wanted is not None:
        if not has_address(wanted):
            own = [str(item.address.ip) for item in addresses()]
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


def has_address(address: str) -> bool:
    """Whether the host has it, on whatever interface, also beside others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


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


def _name(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode()


def _little_endian(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text), "little")
