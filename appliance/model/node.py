"""A node: one machine, its inventory and how it is reached."""

from typing import Literal

import msgspec

Role = Literal["manager", "agent"]
Dial = Literal["agent", "manager"]
NodeState = Literal["ready", "unreachable", "joining"]


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a node. `id` never changes; `number` (1..254) gives it its part of the overlay."""

    id: str
    name: str
    number: int
    address: str
    roles: tuple[Role, ...] = ("agent",)
    dial: Dial = "agent"
    labels: dict[str, str] = {}
    cordoned: bool = False
    joined_at: str = ""


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a node measured of itself at start."""

    version: str
    architecture: str
    cpu: int
    """Thousandths of a core."""
    memory: int
    kernel: str
    engine: str
    """Name and version of the container engine, e.g. ``docker 26.1.5``."""
    boot_id: str
    os: str = ""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Written by the manager that holds the node's link. `since`: when `state` last changed."""

    id: str
    state: NodeState
    since: str
    facts: NodeFacts | None = None
    vtep_mac: str = ""
    """MAC address of the node's vxlan device, which its peers need."""
    message: str = ""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """What a node must know of another node for the overlay."""

    node: str
    number: int
    address: str
    vtep_mac: str
