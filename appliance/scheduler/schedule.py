"""Where pending instances go, decided once: pure, from what they need and what the nodes have left."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from appliance.model.instance import Binding, Refusal
from appliance.scheduler.filters import Need, Room, explain, refused_by
from appliance.scheduler.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Outcome:
    bindings: tuple[Binding, ...]
    refusals: tuple[Refusal, ...]


def schedule(pending: Iterable[Need], rooms: list[Room], now: str) -> Outcome:
    """Bind every pending instance or say why not, in the order given. Takes what it places from `rooms`.

    `now` is the time of the bindings, RFC 3339. Neighbours in `pending` that need the same are placed together.
    """
    bindings: list[Binding] = []
    refusals: list[Refusal] = []
    for _, group in groupby(pending, key=_kind):
        needs = list(group)
        ranking = Ranking(needs[0], [room for room in rooms if not refused_by(needs[0], room)], rooms)
        for number, need in enumerate(needs):
            room = ranking.pop()
            if room is None:
                refusals.extend(_refusals(needs[number:], rooms))
                break
            bindings.append(Binding(instance=need.instance, node=room.node.id, ip=room.addresses.pop(), bound_at=now))
            room.take(need)
            ranking.push(room, fits=not refused_by(need, room))
    return Outcome(tuple(bindings), tuple(refusals))


def _kind(need: Need) -> tuple[object, ...]:
    """Equal for needs that differ in the instance's name only."""
    return need.deploy, need.require, need.spread, need.cpu, need.memory, need.ports, need.architectures


def _refusals(needs: list[Need], rooms: list[Room]) -> list[Refusal]:
    counts = dict(Counter(refused_by(needs[0], room) for room in rooms))
    reason = explain(needs[0], counts, len(rooms))
    return [Refusal(instance=need.instance, reason=reason, counts=counts) for need in needs]
