"""What the kernel says of its packet filter without a program being started."""

import socket
import struct

_NETLINK_NETFILTER = 12
_NLMSG_ERROR = 2
_NFT_MSG_GETGEN = 10 << 8 | 16
_NFTA_GEN_ID = 1


def generation() -> int:
    """A number that changes with every change of anybody's nftables rules; -1 where there is no nftables.

    Those that iptables writes count as well, where it is the nftables kind (linux/netfilter/nf_tables.h,
    NFT_MSG_GETGEN). Of the network namespace; needs root.
    """
    message = struct.pack("=IHHIIBBH", 20, _NFT_MSG_GETGEN, 1, 0, 0, 0, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as kernel:
            kernel.settimeout(1.0)
            kernel.send(message)
            answer = kernel.recv(4096)
    except OSError:
        return -1
    _, kind = struct.unpack_from("=IH", answer)
    return -1 if kind == _NLMSG_ERROR else _attribute(answer[20:], _NFTA_GEN_ID)


def _attribute(attributes: bytes, wanted: int) -> int:
    """The number in network order that an attribute holds (netlink(7)); -1 where there is none of the kind."""
    at = 0
    while at + 8 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if kind == wanted:
            return int.from_bytes(attributes[at + 4 : at + 8])
        at += max(length + 3 & ~3, 4)
    return -1
