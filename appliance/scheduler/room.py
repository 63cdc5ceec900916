"""A node and what is left of it, and what one instance holds there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from appliance.model.instance import Binding
from appliance.model.node import Gpu, NodeFacts, NodeSpec, NodeState
from appliance.scheduler.need import Need, NodePort

RESERVED_SHARE = 20
"""One part in so many of a node's memory is kept for the node itself,"""
RESERVED_MEMORY = 256 * 1024 * 1024
"""and at least this many bytes. Nothing is kept of its processors, which are shared by weight."""


@dataclass(frozen=True, slots=True)
class Holding:
    """`idle`: the instance has ended for good and holds nothing but its address."""

    binding: Binding
    need: Need
    idle: bool = False


class Addresses:
    """Those of one node's instances, `count` in a row, given out lowest first."""

    def __init__(self, first: IPv4Address, count: int) -> None:
        self._first = int(first)
        self._count = count
        self._taken: set[int] = set()
        self._lowest = 0

    @property
    def left(self) -> int:
        return self._count - len(self._taken)

    def lowest(self) -> str:
        """The lowest that is free; there has to be one."""
        while self._lowest in self._taken:
            self._lowest += 1
        return str(IPv4Address(self._first + self._lowest))

    def take(self, address: str) -> None:
        """One that is not the node's (as after the network was changed) is nothing to take."""
        if 0 <= (place := int(IPv4Address(address)) - self._first) < self._count:
            self._taken.add(place)

    def give_back(self, address: str) -> None:
        place = int(IPv4Address(address)) - self._first
        self._taken.discard(place)
        self._lowest = max(0, min(self._lowest, place))


@dataclass(slots=True)
class Room:
    """The scheduler takes from it while it places. `deploys` counts instances by deploy (``shop/web``).

    `all_cpu` and `all_memory` are what instances may have of the node.
    """

    node: NodeSpec
    state: NodeState
    facts: NodeFacts | None
    addresses: Addresses
    cpu: int = 0
    memory: int = 0
    gpus: set[str] = field(default_factory=set)
    storage: dict[str, int] = field(default_factory=dict)
    ports: dict[NodePort, int] = field(default_factory=dict)
    deploys: dict[str, int] = field(default_factory=dict)
    instances: int = 0
    all_cpu: int = field(init=False, default=0)
    all_memory: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.facts is not None:
            reserve = self.node.reserve
            usual = max(RESERVED_MEMORY, self.facts.memory // RESERVED_SHARE)
            self.all_cpu = self.facts.cpu - (reserve.cpu or 0)
            self.all_memory = self.facts.memory - (usual if reserve.memory is None else reserve.memory)

    def take(self, holding: Holding) -> None:
        """Give the instance what it needs, fitting or not: who is there already is there."""
        if holding.binding.ip:
            self.addresses.take(holding.binding.ip)
        if not holding.idle:
            self.gpus.update(holding.binding.gpus)
            self._count(holding.need, 1)

    def give_back(self, holding: Holding) -> None:
        if holding.binding.ip:
            self.addresses.give_back(holding.binding.ip)
        if not holding.idle:
            self.gpus.difference_update(holding.binding.gpus)
            self._count(holding.need, -1)

    @property
    def all_storage(self) -> dict[str, int]:
        return self.facts.storage if self.facts else {}

    @property
    def free_gpus(self) -> list[Gpu]:
        return [gpu for gpu in self.facts.gpus if gpu.id not in self.gpus] if self.facts else []

    def _count(self, need: Need, by: int) -> None:
        self.cpu += by * need.cpu
        self.memory += by * need.memory
        self.instances += by
        _add(self.deploys, need.deploy, by)
        for medium, size in need.storage:
            _add(self.storage, medium, by * size)
        for port in need.ports:
            _add(self.ports, port, by)


def choose_gpus(free: Sequence[Gpu], wanted: Sequence[tuple[int, str]]) -> tuple[str, ...] | None:
    """Ids for each wish (count, model) in their order, or None when there are too few.

    A model fits when it is part of the driver's name for it, in any case of letters: ``A100`` is an
    ``NVIDIA A100-SXM4-80GB``. The longest names choose first and those without one last.
    """
    left = {gpu.id: gpu.model.casefold() for gpu in free}
    chosen: dict[int, list[str]] = {}
    for place, (count, model) in sorted(enumerate(wanted), key=lambda wish: -len(wish[1][1])):
        fitting = [identifier for identifier, name in left.items() if model.casefold() in name]
        if len(fitting) < count:
            return None
        chosen[place] = fitting[:count]
        for identifier in chosen[place]:
            del left[identifier]
    return tuple(identifier for place in sorted(chosen) for identifier in chosen[place])


def _add[K](counts: dict[K, int], key: K, by: int) -> None:
    """Without what has come to nothing."""
    if number := counts.get(key, 0) + by:
        counts[key] = number
    else:
        counts.pop(key, None)
