"""A node: one machine, its inventory and how it is reached."""

import re
from typing import Literal

import msgspec

Role = Literal["manager", "agent"]
Dial = Literal["agent", "manager"]
Clock = Literal["ours", "host"]
"""Who keeps a node's clock: the ntp sidecar, or whatever the host does by itself."""
NodeState = Literal["ready", "unreachable", "joining"]

NODE_ID = re.compile(r"n-[0-9a-f]{12}")
NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What can be part of a domain name (RFC 1123)."""


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """What a node keeps for itself; None : the usual share. `cpu` in thousandths of a core, `memory` in bytes."""

    cpu: int | None = None
    memory: int | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the driver's own name for it (NVIDIA: its UUID)."""

    id: str
    model: str


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A block device of the node. `medium`: nvme, ssd or hdd; `size` in bytes."""

    name: str
    medium: str
    size: int
    model: str = ""


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a node. `id` never changes; `number` (1..254) gives it its part of the overlay.

    `ssh_key` is the public half of the key that it joined with: nobody else gets a certificate for this node, or is let
    in by one. "" where nobody knows, for founders of clusters of early releases.
    """

    id: str
    name: str
    number: int
    address: str
    roles: tuple[Role, ...] = ("agent",)
    dial: Dial = "agent"
    labels: dict[str, str] = {}
    taints: dict[str, str] = {}
    """Key → value ("" : none). Only what tolerates all of them is placed here; what runs already stays."""
    cordoned: bool = False
    draining: bool = False
    """Its instances are being moved to other nodes; it is cordoned as well."""
    evicted: bool = False
    """A person has said that it is off for good or for long: what was bound to it is placed elsewhere. When it comes
    back it stops all of that first."""
    reserve: Reserve = Reserve()
    joined_at: str = ""
    ssh_key: str = ""


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
    gpus: tuple[Gpu, ...] = ()
    disks: tuple[Disk, ...] = ()
    storage: dict[str, int] = {}
    """Medium → bytes of the file system on which volumes of this medium lie; "" is where those without one lie."""
    manager: bool = False
    """It is one, by its own disk."""
    lost_member: str = ""
    """The member of etcd (its id in hexadecimal) that the node was and whose data it has no more."""
    devices: tuple[str, ...] = ()
    """Paths of the device files that containers may ask for."""
    release: int = 1
    """The number of the release whose `version` this is (`Release`); the first ones did not say it."""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Written by the manager that the node follows. `since`: when `state` last changed.

    `manager` and `run`: that manager's process (`Alive`), which has written down all that the node's hello told.
    `turn`: the node's own count of the managers that it began to follow; whoever was followed earlier writes no more.
    """

    id: str
    state: NodeState
    since: str
    facts: NodeFacts | None = None
    vtep_mac: str = ""
    """MAC address of the node's vxlan device, which its peers need."""
    message: str = ""
    manager: str = ""
    run: str = ""
    turn: int = 0


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """What a node must know of another node for the overlay."""

    node: str
    number: int
    address: str
    vtep_mac: str
