"""Which of the fitting nodes is best: those with the labels wished for first, then even over the spread, then load."""

import heapq
from collections.abc import Iterable, Sequence

from appliance.scheduler.filters import Filter, filters_for, keepers, refused_by
from appliance.scheduler.fleet import Cell, Fleet, Rank, Values, cells_of, rank
from appliance.scheduler.need import BY_NODE, Need
from appliance.scheduler.room import Room


class Ranking:
    """Nodes for instances of one need, best first, as long as nothing else is placed meanwhile.

    Nodes are looked at only as far as they are needed: the cells of the fleet are in order already.
    """

    def __init__(self, need: Need, fleet: Fleet) -> None:
        self._need = need
        self._fleet = fleet
        self._filters = filters_for(need, fleet)
        self._tiers = self._cut()
        self._domains: list[tuple[int, Rank, str, _Domain]] = []

    def next(self) -> Room | None:
        """The best node that passes all filters, None when there is none. Take it before the next is asked for."""
        while self._domains or self._tiers:
            if not self._domains:
                self._open(self._tiers.pop())
                continue
            held, _, value, domain = heapq.heappop(self._domains)
            room = domain.next()
            if room is not None:
                heapq.heappush(self._domains, (held + 1, domain.best, value, domain))
                return room
        return None

    def _cut(self) -> list[dict[str, list[Cell]]]:
        """Cells by their value of the spread; the last of the list are those with most of the labels wished for."""
        placement = self._need.placement
        labels = self._labels()
        tiers: dict[int, dict[str, list[Cell]]] = {}
        for values, cell in self._cells(labels):
            found = dict(zip(labels, values, strict=True))
            wishes = sum(found[name] in wished for name, wished in placement.prefer.items())
            value = "" if placement.spread == BY_NODE else found[placement.spread] or ""
            tiers.setdefault(wishes, {}).setdefault(value, []).append(cell)
        return [tiers[wishes] for wishes in sorted(tiers)]

    def _labels(self) -> tuple[str, ...]:
        need, placement = self._need, self._need.placement
        places = {each.by for each in (*need.near, *need.away, *keepers(need, self._fleet))}
        return tuple(sorted({*placement.require, *placement.prefer, placement.spread, *places} - {BY_NODE}))

    def _cells(self, labels: tuple[str, ...]) -> Iterable[tuple[Values, Cell]]:
        """Those whose nodes have suitable labels."""
        few = self._few()
        cells = self._fleet.cells(labels) if few is None else cells_of(few, labels)
        filters = [each for each in self._filters if each.by_labels(self._need, self._fleet)]
        for values, cell in cells.items():
            if not filters or refused_by(filters, self._need, cell[0][1], self._fleet) is None:
                yield values, cell

    def _few(self) -> list[Room] | None:
        """Where the need itself names all nodes that may do."""
        need, fleet = self._need, self._fleet
        if need.node:
            return [fleet.rooms[need.node]] if need.node in fleet.rooms else []
        if need.placement.node:
            return [room for room in fleet.rooms.values() if room.node.name == need.placement.node]
        for each in need.near:
            if each.by == BY_NODE and fleet.exists(each.deploy):
                return fleet.homes(each.deploy)
        return None

    def _open(self, tier: dict[str, list[Cell]]) -> None:
        need, spread = self._need, self._need.placement.spread
        held = {} if spread == BY_NODE else self._fleet.by_label(need.deploy, spread)
        for value, cells in tier.items():
            domain = _Domain(need, self._fleet, self._filters, cells)
            self._domains.append((held.get(value, 0), domain.best, value, domain))
        heapq.heapify(self._domains)


class _Domain:
    """Nodes among which only the load decides: first those without an instance of the deploy, then those with fewest.

    A node that was given is looked at again only after all others, because a refusal is for good.
    """

    def __init__(self, need: Need, fleet: Fleet, filters: Sequence[Filter], cells: list[Cell]) -> None:
        self._need = need
        self._fleet = fleet
        self._filters = filters
        self._heads = [(cell[0][0], number, 0, cell) for number, cell in enumerate(cells)]
        heapq.heapify(self._heads)
        self._again: list[tuple[int, Rank, Room]] = []
        self._given: Room | None = None
        self.best = self._heads[0][0]
        """Rank of the node that was looked at last: where to go on."""

    def next(self) -> Room | None:
        return self._fresh() or self._known()

    def _fresh(self) -> Room | None:
        while self._heads:
            before, number, at, cell = self._heads[0]
            if at == len(cell):
                heapq.heappop(self._heads)
                continue
            self.best, room = cell[at]
            if self.best != before:  # what was there has been taken, and stands further back now
                heapq.heapreplace(self._heads, (self.best, number, at, cell))
                continue
            if room.deploys.get(self._need.deploy):
                self._push(room)
                refusing = None
            else:
                refusing = refused_by(self._filters, self._need, room, self._fleet)
                if refusing is None:
                    return room
            whole = refusing is not None and refusing.by_labels(self._need, self._fleet)
            self._heads[0] = before, number, len(cell) if whole else at + 1, cell
        return None

    def _known(self) -> Room | None:
        if self._given is not None:
            self._push(self._given)
            self._given = None
        while self._again:
            _, self.best, room = heapq.heappop(self._again)
            if refused_by(self._filters, self._need, room, self._fleet) is None:
                self._given = room
                return room
        return None

    def _push(self, room: Room) -> None:
        heapq.heappush(self._again, (room.deploys[self._need.deploy], rank(room), room))
