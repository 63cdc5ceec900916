"""Where pending instances go, decided once: pure, from what they need and what the nodes have left."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from appliance.model.instance import Binding, Refusal
from appliance.scheduler.filters import explain, filters_for, refused_by
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import Need
from appliance.scheduler.ranking import Ranking
from appliance.scheduler.room import Holding, Room, choose_gpus

Pending = tuple[str, Need]
"""An instance's name and what it needs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    placed: tuple[Holding, ...]
    refusals: tuple[Refusal, ...]


def schedule(pending: Iterable[Pending], fleet: Fleet, now: str) -> Outcome:
    """Bind every pending instance or say why not; higher priority first, then by name, whatever the order given.

    Takes what it places from the fleet. `now` is the time of the bindings, RFC 3339.
    """
    placed: list[Holding] = []
    refusals: list[Refusal] = []
    for need, group in groupby(sorted(pending, key=_turn), key=lambda each: each[1]):
        names = [name for name, _ in group]
        found = _place(names, need, fleet, now)
        placed += found
        if len(found) < len(names):
            refusals += _refuse(names[len(found) :], need, fleet)
    return Outcome(tuple(placed), tuple(refusals))


def verdicts(need: Need, fleet: Fleet) -> dict[str, str]:
    """By node id why it will not do: ``is cordoned``, "" when it will."""
    filters = filters_for(need, fleet)
    refusing = {node: refused_by(filters, need, room, fleet) for node, room in fleet.rooms.items()}
    return {node: each.sentence(need, fleet) if each else "" for node, each in refusing.items()}


def _turn(pending: Pending) -> tuple[int, str, int, str]:
    """Neighbours are of one deploy, and in the order of their indices."""
    name, need = pending
    return -need.priority, need.deploy, len(name), name


def _place(names: list[str], need: Need, fleet: Fleet, now: str) -> list[Holding]:
    """As many as there is room for."""
    placed: list[Holding] = []
    ranking = Ranking(need, fleet)
    by_itself = any(each.deploy == need.deploy for each in need.near)
    for name in names:
        if placed and by_itself:  # the one before has decided where the others may go
            ranking = Ranking(need, fleet)
        room = ranking.next()
        if room is None:
            break
        holding = Holding(_binding(name, need, room, now), need)
        fleet.take(holding)
        placed.append(holding)
    return placed


def _binding(name: str, need: Need, room: Room, now: str) -> Binding:
    return Binding(
        instance=name,
        node=room.node.id,
        ip="" if need.host_network else room.addresses.lowest(),
        bound_at=now,
        gpus=choose_gpus(room.free_gpus, need.gpus) or () if need.gpus else (),
    )


def _refuse(names: list[str], need: Need, fleet: Fleet) -> list[Refusal]:
    filters = filters_for(need, fleet)
    refusing = (refused_by(filters, need, room, fleet) for room in fleet.rooms.values())
    counts = dict(Counter(each.name for each in refusing if each is not None))
    reason = explain(need, counts, fleet)
    return [Refusal(instance=name, reason=reason, counts=counts) for name in names]
