"""All rooms, and where to look for a good one without asking each: ordered by load, cut by the values of labels.

What is derived from the nodes' labels is made when it is first asked for, kept right while instances come and go, and
forgotten when a node changes.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping

from appliance.scheduler.need import BY_NODE, Need
from appliance.scheduler.room import Holding, Room

Rank = tuple[bool, float, int, int, str]
"""Lower is better: takes no ordinary instance, share of the node in use, instances, number and id of the node."""

Cell = list[tuple[Rank, Room]]
"""Rooms whose nodes have the same values of some labels, best first; ranks are never equal."""

Values = tuple[str | None, ...]


class Fleet:
    """`epoch` grows whenever a node changes or an instance goes: what found no place may find one now."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.epoch = 0
        self._homes: dict[str, dict[str, int]] = {}
        self._cells: dict[tuple[str, ...], dict[Values, Cell]] = {}
        self._counts: dict[str, dict[str, dict[str, int]]] = {}
        self._away: dict[str, dict[tuple[str, str], int]] = {}

    def put(self, room: Room) -> None:
        """A node that is new or has changed, with nothing taken yet; `remove` an earlier one first."""
        self.rooms[room.node.id] = room
        self._forget_places()

    def remove(self, node: str) -> None:
        """All that is held there has to be given back first."""
        if self.rooms.pop(node, None) is not None:
            self._forget_places()

    def take(self, holding: Holding) -> None:
        """The node has to be there, and for `give_back` too."""
        self._change(holding, 1)

    def give_back(self, holding: Holding) -> None:
        self._change(holding, -1)
        self.epoch += 1

    def count(self, deploy: str, by: str, room: Room) -> int:
        """Instances of a deploy that share the room's place; a node without the label shares none."""
        if by == BY_NODE:
            return room.deploys.get(deploy, 0)
        place = room.node.labels.get(by)
        return 0 if place is None else self.by_label(deploy, by).get(place, 0)

    def by_label(self, deploy: str, label: str) -> Mapping[str, int]:
        """Instances of a deploy by the value of a label; under "" those on nodes without it."""
        known = self._counts.setdefault(deploy, {})
        found = known.get(label)
        if found is None:
            found = known[label] = {}
            for node, count in self._homes.get(deploy, {}).items():
                place = self.rooms[node].node.labels.get(label, "")
                found[place] = found.get(place, 0) + count
        return found

    def exists(self, deploy: str) -> bool:
        return deploy in self._homes

    def homes(self, deploy: str) -> list[Room]:
        return [self.rooms[node] for node in self._homes.get(deploy, {})]

    def keeping_away(self, need: Need) -> tuple[tuple[str, str], ...]:
        """Deploys that have instances somewhere and keep away from this one, and by what."""
        return tuple(self._away.get(need.deploy, {}))

    def cells(self, labels: tuple[str, ...]) -> dict[Values, Cell]:
        """All rooms by their nodes' values of these labels. Not to be changed by the caller."""
        found = self._cells.get(labels)
        if found is None:
            found = self._cells[labels] = cells_of(self.rooms.values(), labels)
        return found

    def _change(self, holding: Holding, by: int) -> None:
        room = self.rooms[holding.binding.node]
        before = rank(room)
        if by > 0:
            room.take(holding)
        else:
            room.give_back(holding)
        if not holding.idle:
            self._count(holding.need, room, by)
        entry = rank(room), room
        for labels, cells in self._cells.items():
            cell = cells[_values(labels, room)]
            del cell[bisect_left(cell, (before,))]
            insort(cell, entry)

    def _count(self, need: Need, room: Room, by: int) -> None:
        homes = self._homes.setdefault(need.deploy, {})
        homes[room.node.id] = homes.get(room.node.id, 0) + by
        if not homes[room.node.id]:
            del homes[room.node.id]
        if not homes:
            del self._homes[need.deploy]
        for label, counts in self._counts.get(need.deploy, {}).items():
            place = room.node.labels.get(label, "")
            counts[place] = counts.get(place, 0) + by
        for affinity in need.away:
            others = self._away.setdefault(affinity.deploy, {})
            key = need.deploy, affinity.by
            others[key] = others.get(key, 0) + by
            if not others[key]:
                del others[key]

    def _forget_places(self) -> None:
        self._cells.clear()
        self._counts.clear()
        self.epoch += 1


def cells_of(rooms: Iterable[Room], labels: tuple[str, ...]) -> dict[Values, Cell]:
    found: dict[Values, Cell] = {}
    for room in rooms:
        found.setdefault(_values(labels, room), []).append((rank(room), room))
    for cell in found.values():
        cell.sort()
    return found


def rank(room: Room) -> Rank:
    """An instance more makes it worse."""
    node = room.node
    closed = room.state != "ready" or node.cordoned or node.evicted or bool(node.taints)
    load = max(room.cpu / max(1, room.all_cpu), room.memory / max(1, room.all_memory))
    return closed, round(load, 3), room.instances, node.number, node.id


def _values(labels: tuple[str, ...], room: Room) -> Values:
    return tuple(room.node.labels.get(label) for label in labels)
