"""Which nodes an instance may go to; every filter that turns a node away says why."""

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.model.node import NodeSpec

RESERVED_SHARE = 20
"""One part in so many of a node's memory is kept for the node itself,"""
RESERVED_MEMORY = 256 * 1024 * 1024
"""and at least this many bytes."""

PublishedPort = tuple[str, int]
"""Protocol and port of the node."""


@dataclass(frozen=True, slots=True)
class Need:
    """What an instance asks of its node. `architectures` of its images, as `uname -m` says it; cpu in 1/1000 core."""

    instance: str
    deploy: str
    """``shop/web``: what the spread counts."""
    require: tuple[tuple[str, tuple[str, ...]], ...] = ()
    spread: str = "node"
    cpu: int = 0
    memory: int = 0
    ports: frozenset[PublishedPort] = frozenset()
    architectures: frozenset[str] = frozenset()


@dataclass(slots=True)
class Room:
    """A node and what is left of it; the scheduler takes from it while it places. `addresses`: free, highest first."""

    node: NodeSpec
    ready: bool
    architecture: str
    cpu: int
    memory: int
    addresses: list[str]
    used_cpu: int = 0
    used_memory: int = 0
    ports: set[PublishedPort] = field(default_factory=set)
    deploys: dict[str, int] = field(default_factory=dict)
    instances: int = 0

    def take(self, need: Need) -> None:
        self.used_cpu += need.cpu
        self.used_memory += need.memory
        self.ports |= need.ports
        self.deploys[need.deploy] = self.deploys.get(need.deploy, 0) + 1
        self.instances += 1

    @property
    def free_memory(self) -> int:
        return self.memory - max(RESERVED_MEMORY, self.memory // RESERVED_SHARE) - self.used_memory


@dataclass(frozen=True, slots=True)
class Filter:
    """`passes` says whether the node will do; `one` and `many` finish the sentence "1 node …" and "2 nodes …"."""

    name: str
    passes: Callable[[Need, Room], bool]
    one: Callable[[Need], str]
    many: Callable[[Need], str]


def refused_by(need: Need, room: Room) -> str:
    """Name of the first filter that turns the node away; empty when it will do."""
    return next((each.name for each in FILTERS if not each.passes(need, room)), "")


def explain(need: Need, counts: dict[str, int], nodes: int) -> str:
    """``2 of 3 nodes have less than 4 cores free, 1 is cordoned``."""
    if not nodes:
        return "the cluster has no nodes"
    parts: list[str] = []
    for each in FILTERS:
        if count := counts.get(each.name, 0):
            subject = str(count) if parts else f"{count} of {nodes} node{'s' if nodes > 1 else ''}"
            parts.append(f"{subject} {(each.one if count == 1 else each.many)(need)}")
    return ", ".join(parts)


def _labels(need: Need, room: Room) -> bool:
    labels = room.node.labels
    return all(labels.get(key) in values for key, values in need.require)


def _wanted_labels(need: Need) -> str:
    return " and ".join(f"{key}={'|'.join(values)}" for key, values in need.require)


def _wanted_ports(need: Need) -> str:
    return ", ".join(f"{port}/{protocol}" for protocol, port in sorted(need.ports))


def _cores(need: Need) -> str:
    return "1 core" if need.cpu == 1000 else f"{need.cpu / 1000:g} cores"


def _mebibytes(need: Need) -> str:
    return f"{need.memory / 1024 / 1024:g} MiB"


FILTERS = (
    Filter("ready", lambda _, room: room.ready, lambda _: "is not ready", lambda _: "are not ready"),
    Filter("cordon", lambda _, room: not room.node.cordoned, lambda _: "is cordoned", lambda _: "are cordoned"),
    Filter(
        "architecture",
        lambda need, room: not need.architectures or need.architectures == {room.architecture},
        lambda need: f"is not {'/'.join(sorted(need.architectures))}, which the images are for",
        lambda need: f"are not {'/'.join(sorted(need.architectures))}, which the images are for",
    ),
    Filter(
        "labels",
        _labels,
        lambda need: f"lacks the label {_wanted_labels(need)}",
        lambda need: f"lack the label {_wanted_labels(need)}",
    ),
    Filter(
        "cpu",
        lambda need, room: not need.cpu or room.used_cpu + need.cpu <= room.cpu,
        lambda need: f"has less than {_cores(need)} free",
        lambda need: f"have less than {_cores(need)} free",
    ),
    Filter(
        "memory",
        lambda need, room: not need.memory or need.memory <= room.free_memory,
        lambda need: f"has less than {_mebibytes(need)} of memory free",
        lambda need: f"have less than {_mebibytes(need)} of memory free",
    ),
    Filter(
        "ports",
        lambda need, room: not need.ports & room.ports,
        lambda need: f"has port {_wanted_ports(need)} in use",
        lambda need: f"have port {_wanted_ports(need)} in use",
    ),
    Filter(
        "addresses",
        lambda _, room: bool(room.addresses),
        lambda _: "has no address left",
        lambda _: "have no address left",
    ),
)
