"""A virtual address (VIP): one that moves between nodes, so that it outlives each of them."""

from ipaddress import IPv4Interface
from typing import Literal

import msgspec

from appliance.errors import UsageError

CONTROL_PLANE_ROUTER = 255
"""VRRP's number of the cluster's own address; those of the entry are numbered from 1 below it."""
ENTRY_ROUTERS = range(1, CONTROL_PLANE_ROUTER)

Front = Literal["manager", "entry"]
"""What an address leads to on the node that holds it."""


class Vip(msgspec.Struct, frozen=True, kw_only=True):
    """A further address of the entry. `length` is that of its network's prefix, `router` VRRP's number for it.

    `interface` "" : each node finds the one whose network has the address, else that of its own address. `services`
    says to people what it is meant for.
    """

    address: str
    length: int
    router: int
    interface: str = ""
    services: tuple[str, ...] = ()
    added_at: str = ""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A node that may hold an address, and the address of its own that the others reach it by."""

    node: str
    address: str


class VipPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One address as its candidates have to keep it, the most preferred first. Fields as in `Vip`."""

    address: str
    length: int
    router: int
    interface: str = ""
    front: Front
    candidates: tuple[Candidate, ...]


class PlacedVip(msgspec.Struct, frozen=True, kw_only=True):
    """An address as this node has to keep it. `interface` has `own`, the node's address that its `peers` know; the
    address goes on `device`. `rank` 0 : the most preferred."""

    address: str
    length: int
    router: int
    front: Front
    interface: str
    device: str
    own: str
    peers: tuple[str, ...]
    rank: int


class VipStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Who was last seen to hold an address, by node id; more than one is an alarm. `since`: when that last changed.

    Written by the leading manager.
    """

    address: str
    owners: tuple[str, ...] = ()
    since: str = ""


def parse_vip(text: str) -> tuple[str, int]:
    """(address, length of the prefix) of ``IP/LEN``. Raises UsageError for what no host can have."""
    try:
        found = IPv4Interface(text)
        if "/" not in text:
            raise ValueError("the length of its network's prefix is missing")
        ends = () if found.network.prefixlen > 30 else (found.network.network_address, found.network.broadcast_address)
        if found.ip in ends or found.ip.is_loopback or found.ip.is_multicast or found.ip.is_unspecified:
            raise ValueError("no host can have it")
    except ValueError as error:
        raise UsageError(
            f"{text} is not a virtual address.", why=str(error), next="write it like 192.168.1.50/24", page="vip"
        ) from error
    return str(found.ip), found.network.prefixlen
