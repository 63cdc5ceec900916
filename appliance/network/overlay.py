"""The overlay on this node: a vxlan device the flannel way, and the firewall that lets it through.

One device `flannel.1` (VNI 1, UDP port 8472, no learning). For each other node: one forwarding entry (MAC of its
device → its host's address), one permanent neighbour entry and one route to its /24. All of it is put back when
somebody takes it away. Done with `ip` and `bridge` of iproute2, as a person would: a netlink library would cost every
agent 10 MB for good.
"""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.loop import Loop
from appliance.model.addresses import subnet_of, vtep_address
from appliance.model.cluster import INSTANCE_BRIDGE, OVERLAY_PORT
from appliance.model.node import Peer
from appliance.network.firewall import Chain, Firewall, chains
from appliance.network.iproute import batch, listed

DEVICE = "flannel.1"
VNI = 1
OVERHEAD = 50
"""Bytes that vxlan adds to a packet over IPv4."""
_SMALLEST_MTU = 1280
_LARGEST_MTU = 9000
"""Loopback says 65536, which no bridge takes."""


def vtep_mac(node: str) -> str:
    """The MAC of a node's vxlan device: locally administered, derived from its id, so that it outlives reboots."""
    digest = hashlib.sha256(f"vtep {node}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (digest[0] & 0xFC | 0x02, *digest[1:6]))


class Overlay:
    """A component. `node` is this node's id, `address` the one other nodes reach it by.

    The programs `ip`, `bridge` and `iptables` are found by PATH.
    """

    name = "overlay"

    def __init__(self, *, network: str, node: str, number: int, address: str) -> None:
        self._network = network
        self._node = node
        self._number = number
        self._address = address
        self._firewall = Firewall()
        self._peers: tuple[Peer, ...] = ()
        self._lock = threading.Lock()
        self._loop = Loop("overlay", self.cycle)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Leaves everything in place: instances go on talking to each other without us."""
        self._loop.stop()

    def reconcile(self, peers: tuple[Peer, ...]) -> None:
        """These are the nodes of the overlay now, this one included or not; from any thread, returns at once."""
        self._peers = tuple(sorted((p for p in peers if p.node != self._node), key=lambda peer: peer.number))
        self._loop.wake()

    def wake(self) -> None:
        """Look now whether anything is missing; from any thread."""
        self._loop.wake()

    def vtep_mac(self) -> str:
        return vtep_mac(self._node)

    def mtu(self) -> int:
        """MTU of the overlay: that of the interface which has the node's address, less what vxlan adds."""
        for link in listed("ip", "-4", "address", "show"):
            if any(entry.get("local") == self._address for entry in link["addr_info"]):
                return max(min(int(link["mtu"]), _LARGEST_MTU) - OVERHEAD, _SMALLEST_MTU)
        raise ApplianceError(
            f"No interface of this host has the node's address {self._address}.",
            next="give the address back to the host, or tell the cluster: appliance node set-address",
        )

    def peers(self) -> tuple[Peer, ...]:
        """The other nodes, by number."""
        return self._peers

    def missing(self, peers: tuple[Peer, ...]) -> dict[str, tuple[str, ...]]:
        """Node id → what the kernel lacks to reach it, of those that it lacks something for. Raises ApplianceError."""
        if _device_as_it_is() is None:
            return {peer.node: (f"device {DEVICE}",) for peer in peers}
        network = self._network
        lacking: list[tuple[str, set[str], Callable[[Peer], str]]] = [
            ("forwarding entry", _replaced(self._forwarding(peers)), lambda peer: peer.vtep_mac),
            ("neighbour entry", _replaced(self._neighbours(peers)), lambda peer: vtep_address(network, peer.number)),
            ("route", _replaced(self._routes(peers)), lambda peer: str(subnet_of(network, peer.number))),
        ]
        found = {peer.node: tuple(part for part, gone, key in lacking if key(peer) in gone) for peer in peers}
        return {node: parts for node, parts in found.items() if parts}

    def cycle(self) -> None:
        """Bring device, entries, routes and firewall to what they should be. Raises ApplianceError."""
        with self._lock:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
            self._firewall.apply(self._chains())
            self._device()
            peers = self._peers
            batch("bridge", self._forwarding(peers))
            batch("ip", self._neighbours(peers) + self._routes(peers))

    def remove(self) -> None:
        """Take everything of the overlay away; what is missing is no error."""
        self._loop.stop()
        with self._lock:
            self._firewall.remove(self._chains())
            if _device_as_it_is() is not None:
                batch("ip", [f"link delete {DEVICE}"])

    def _chains(self) -> tuple[Chain, ...]:
        return chains(self._network, self._number, INSTANCE_BRIDGE, DEVICE)

    def _device(self) -> None:
        """Make our vxlan device, or make it anew, unless it is as it should be."""
        link, mtu = _device_as_it_is(), self.mtu()
        own = f"{vtep_address(self._network, self._number)}/32"
        commands = []
        if link is None or _described(link) != (VNI, OVERLAY_PORT, self._address, self.vtep_mac()):
            commands = [f"link delete {DEVICE}"] if link is not None else []
            commands.append(
                f"link add {DEVICE} address {self.vtep_mac()} mtu {mtu} type vxlan "
                f"id {VNI} local {self._address} dstport {OVERLAY_PORT} nolearning"
            )
            link = None
        if link is None or link["mtu"] != mtu or "UP" not in link["flags"]:
            commands.append(f"link set {DEVICE} mtu {mtu} up")
        present = [] if link is None else listed("ip", "-4", "address", "show", "dev", DEVICE)
        if own not in [f"{e['local']}/{e['prefixlen']}" for entry in present for e in entry.get("addr_info", [])]:
            commands.append(f"address add {own} dev {DEVICE}")
        batch("ip", commands)

    def _forwarding(self, peers: tuple[Peer, ...]) -> list[str]:
        wanted = {(peer.vtep_mac, peer.address) for peer in peers}
        present = {
            (entry["mac"], entry["dst"]) for entry in listed("bridge", "fdb", "show", "dev", DEVICE) if "dst" in entry
        }
        gone = [f"fdb delete {mac} dev {DEVICE} dst {host} self" for mac, host in sorted(present - wanted)]
        new = [f"fdb replace {mac} dev {DEVICE} dst {host} self permanent" for mac, host in sorted(wanted - present)]
        return gone + new

    def _neighbours(self, peers: tuple[Peer, ...]) -> list[str]:
        wanted = {(vtep_address(self._network, peer.number), peer.vtep_mac) for peer in peers}
        present = {
            (entry["dst"], entry.get("lladdr", ""))
            for entry in listed("ip", "-4", "neighbour", "show", "dev", DEVICE, "nud", "permanent")
        }
        kept = {address for address, _ in wanted}
        gone = [f"neighbour delete {address} dev {DEVICE}" for address, _ in sorted(present) if address not in kept]
        new = [
            f"neighbour replace {address} lladdr {mac} dev {DEVICE} nud permanent"
            for address, mac in sorted(wanted - present)
        ]
        return gone + new

    def _routes(self, peers: tuple[Peer, ...]) -> list[str]:
        wanted = {
            (str(subnet_of(self._network, peer.number)), vtep_address(self._network, peer.number)) for peer in peers
        }
        present = {
            (entry["dst"], entry["gateway"])
            for entry in listed("ip", "-4", "route", "show", "dev", DEVICE)
            if "gateway" in entry
        }
        gone = [f"route delete {subnet} dev {DEVICE}" for subnet, _ in sorted(present - wanted)]
        new = [
            f"route replace {subnet} via {gateway} dev {DEVICE} proto static onlink"
            for subnet, gateway in sorted(wanted - present)
        ]
        return gone + new


def _device_as_it_is() -> dict[str, Any] | None:
    return next((link for link in listed("ip", "-details", "link", "show") if link["ifname"] == DEVICE), None)


def _described(link: dict[str, Any]) -> tuple[int, int, str, str] | None:
    """(VNI, port, local address, MAC) of a vxlan device; None for any other."""
    info = link.get("linkinfo", {})
    if info.get("info_kind") != "vxlan":
        return None
    data = info["info_data"]
    return data["id"], data["port"], data.get("local", ""), link["address"]


def _replaced(commands: list[str]) -> set[str]:
    """What commands such as ``route replace SUBNET …`` are about."""
    return {words[2] for words in map(str.split, commands) if words[1] == "replace"}
