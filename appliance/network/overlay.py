"""The overlay on this node: a vxlan device the flannel way, and the firewall that lets it through.

One device `flannel.1` (VNI 1, UDP port 8472, no learning). For each other node: one forwarding entry (MAC of its
device → its host's address), one permanent neighbour entry and one route to its /24. All of it is put back when
somebody takes it away. pyroute2 is loaded with the first reconciliation, not with this file.
"""

import errno
import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.errors import ApplianceError
from appliance.loop import Loop
from appliance.model.addresses import subnet_of, vtep_address
from appliance.model.node import Peer
from appliance.network.firewall import Chain, Firewall, chains

if TYPE_CHECKING:
    from pyroute2 import IPRoute

DEVICE = "flannel.1"
BRIDGE = "appliance0"
NETWORK_NAME = "appliance"
VNI = 1
PORT = 8472
OVERHEAD = 50
"""Bytes that vxlan adds to a packet over IPv4."""
_SMALLEST_MTU = 1280
_LARGEST_MTU = 9000
"""Loopback says 65536, which no bridge takes."""
_RTNH_F_ONLINK = 4
_NUD_PERMANENT = 0x80
_NTF_SELF = 2


def vtep_mac(node: str) -> str:
    """The MAC of a node's vxlan device: locally administered, derived from its id, so that it outlives reboots."""
    digest = hashlib.sha256(f"vtep {node}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (digest[0] & 0xFC | 0x02, *digest[1:6]))


class Overlay:
    """A component. `node` is this node's id, `address` the one other nodes reach it by, `iptables` the program."""

    name = "overlay"

    def __init__(self, *, network: str, node: str, number: int, address: str, iptables: str) -> None:
        self._network = network
        self._node = node
        self._number = number
        self._address = address
        self._firewall = Firewall(iptables)
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

    def vtep_mac(self) -> str:
        return vtep_mac(self._node)

    def mtu(self) -> int:
        """MTU of the overlay: that of the interface which has the node's address, less what vxlan adds."""
        from pyroute2 import IPRoute

        with IPRoute() as kernel:
            return _mtu(kernel, self._address)

    def cycle(self) -> None:
        """Bring device, entries, routes and firewall to what they should be. Raises ApplianceError."""
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        with self._lock:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
            self._firewall.apply(self._chains())
            try:
                with IPRoute() as kernel:
                    index = self._device(kernel)
                    self._entries(kernel, index)
            except NetlinkError as error:
                raise ApplianceError(
                    "The overlay's network device cannot be set up.",
                    where=DEVICE,
                    why=str(error),
                    next="load the kernel module: modprobe vxlan" if error.code == errno.EOPNOTSUPP else "",
                ) from error

    def remove(self) -> None:
        """Take everything of the overlay away; what is missing is no error."""
        from pyroute2 import IPRoute

        self._loop.stop()
        with self._lock:
            self._firewall.remove(self._chains())
            with IPRoute() as kernel:
                for index in kernel.link_lookup(ifname=DEVICE):
                    kernel.link("del", index=index)

    def _chains(self) -> tuple[Chain, ...]:
        return chains(self._network, self._number, BRIDGE, DEVICE)

    def _device(self, kernel: "IPRoute") -> int:
        """Index of our vxlan device, made (anew) unless it is as it should be."""
        wanted = (VNI, PORT, self._address, self.vtep_mac())
        mtu = _mtu(kernel, self._address)
        for index in kernel.link_lookup(ifname=DEVICE):
            link = kernel.get_links(index)[0]
            if _described(link) == wanted:
                if link.get_attr("IFLA_MTU") != mtu or link["state"] != "up":
                    kernel.link("set", index=index, mtu=mtu, state="up")
                self._own_address(kernel, index)
                return int(index)
            kernel.link("del", index=index)
        kernel.link(
            "add",
            ifname=DEVICE,
            kind="vxlan",
            vxlan_id=VNI,
            vxlan_port=PORT,
            vxlan_local=self._address,
            vxlan_learning=False,
            address=self.vtep_mac(),
            mtu=mtu,
        )
        index = int(kernel.link_lookup(ifname=DEVICE)[0])
        self._own_address(kernel, index)
        kernel.link("set", index=index, state="up")
        return index

    def _own_address(self, kernel: "IPRoute", index: int) -> None:
        address = vtep_address(self._network, self._number)
        present = {entry.get_attr("IFA_ADDRESS") for entry in kernel.get_addr(index=index, family=2)}
        if address not in present:
            kernel.addr("add", index=index, address=address, prefixlen=32)

    def _entries(self, kernel: "IPRoute", index: int) -> None:
        """Forwarding, neighbour and route entries: missing ones are added, those of nodes that left are removed."""
        for peer in self._peers:
            gateway = vtep_address(self._network, peer.number)
            kernel.fdb(
                "replace",
                ifindex=index,
                lladdr=peer.vtep_mac,
                dst=peer.address,
                state=_NUD_PERMANENT,
                flags=_NTF_SELF,
            )
            kernel.neigh("replace", ifindex=index, dst=gateway, lladdr=peer.vtep_mac, state=_NUD_PERMANENT)
            subnet = str(subnet_of(self._network, peer.number))
            kernel.route("replace", dst=subnet, gateway=gateway, oif=index, flags=_RTNH_F_ONLINK)
        self._forget_others(kernel, index)

    def _forget_others(self, kernel: "IPRoute", index: int) -> None:
        macs = {peer.vtep_mac: peer.address for peer in self._peers}
        gateways = {vtep_address(self._network, peer.number) for peer in self._peers}
        for route in kernel.get_routes(oif=index, family=2, table=254):
            if route.get_attr("RTA_GATEWAY") and route.get_attr("RTA_GATEWAY") not in gateways:
                kernel.route("del", dst=f"{route.get_attr('RTA_DST')}/{route['dst_len']}", oif=index)
        for entry in kernel.get_neighbours(ifindex=index, family=2):
            if entry["state"] & _NUD_PERMANENT and entry.get_attr("NDA_DST") not in gateways:
                kernel.neigh("del", ifindex=index, dst=entry.get_attr("NDA_DST"))
        for entry in kernel.fdb("dump", ifindex=index):
            mac, host = entry.get_attr("NDA_LLADDR"), entry.get_attr("NDA_DST")
            if entry["ifindex"] == index and host and macs.get(mac) != host:
                kernel.fdb("del", ifindex=index, lladdr=mac, dst=host, flags=_NTF_SELF)


def _mtu(kernel: "IPRoute", address: str) -> int:
    for entry in kernel.get_addr(family=2):
        if entry.get_attr("IFA_LOCAL") == address or entry.get_attr("IFA_ADDRESS") == address:
            outer = min(int(kernel.get_links(entry["index"])[0].get_attr("IFLA_MTU")), _LARGEST_MTU)
            return max(outer - OVERHEAD, _SMALLEST_MTU)
    raise ApplianceError(
        f"No interface of this host has the node's address {address}.",
        next="give the address back to the host, or tell the cluster: appliance node set-address",
    )


def _described(link: Any) -> tuple[int, int, str, str] | None:
    """(VNI, port, local address, MAC) of a vxlan device; None for any other."""
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "vxlan":
        return None
    data = info.get_attr("IFLA_INFO_DATA")
    return (
        data.get_attr("IFLA_VXLAN_ID"),
        data.get_attr("IFLA_VXLAN_PORT"),
        data.get_attr("IFLA_VXLAN_LOCAL"),
        link.get_attr("IFLA_ADDRESS"),
    )
