"""Which of the fitting nodes is best: even over the domains of the spread first, then the least loaded."""

import heapq

from appliance.scheduler.filters import Need, Room

BY_NODE = "node"

_Rank = tuple[int, float, int, int]


class Ranking:
    """The fitting nodes of one deploy, best first. A domain is a node, or all nodes with one value of a label.

    Two levels of heaps: placing in a domain changes the rank of all its nodes at once.
    """

    def __init__(self, need: Need, fitting: list[Room], everywhere: list[Room]) -> None:
        self._need = need
        self._nodes: dict[str, list[tuple[_Rank, Room]]] = {}
        for room in fitting:
            self._nodes.setdefault(self._domain(room), []).append((_rank(need, room), room))
        held = dict.fromkeys(self._nodes, 0)
        for room in everywhere:
            domain = self._domain(room)
            if domain in held:
                held[domain] += room.deploys.get(need.deploy, 0)
        self._open = (0, "")
        self._domains: list[tuple[int, _Rank, str]] = []
        for domain, nodes in self._nodes.items():
            heapq.heapify(nodes)
            self._domains.append((held[domain], nodes[0][0], domain))
        heapq.heapify(self._domains)

    def pop(self) -> Room | None:
        """The best node; give it back with `push` when it still fits."""
        if not self._domains:
            return None
        held, _, domain = heapq.heappop(self._domains)
        self._open = (held, domain)
        return heapq.heappop(self._nodes[domain])[1]

    def push(self, room: Room, *, fits: bool) -> None:
        """After the node popped last has taken one instance."""
        held, domain = self._open
        nodes = self._nodes[domain]
        if fits:
            heapq.heappush(nodes, (_rank(self._need, room), room))
        if nodes:
            heapq.heappush(self._domains, (held + 1, nodes[0][0], domain))

    def _domain(self, room: Room) -> str:
        return room.node.id if self._need.spread == BY_NODE else room.node.labels.get(self._need.spread, "")


def _rank(need: Need, room: Room) -> _Rank:
    """Unique by the node's number, so that rooms themselves are never compared."""
    load = max(room.used_cpu / max(1, room.cpu), room.used_memory / max(1, room.memory))
    return room.deploys.get(need.deploy, 0), round(load, 3), room.instances, room.node.number
