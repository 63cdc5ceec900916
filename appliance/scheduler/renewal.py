"""What an instance that is updated in place needs of its node anew: an address in the overlay, or GPUs. Pure.

A new revision may ask for what the binding was not made with. The instance never leaves its node for that: the node
gives what it has, or the instance goes on as it was and the reason is told.
"""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from appliance.model.instance import Binding, Refusal
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import Need
from appliance.scheduler.room import Holding, Room, choose_gpus
from appliance.scheduler.schedule import Outcome


def renew(unmet: Iterable[Holding], fleet: Fleet) -> Outcome:
    """Renew every binding or say why not, by name. Takes from the fleet what it gives, and gives back what it had."""
    placed: list[Holding] = []
    refusals: list[Refusal] = []
    for held in sorted(unmet, key=lambda each: each.binding.instance):
        room = fleet.rooms[held.binding.node]
        lack = _lack(held, room)
        if lack:
            refusals.append(Refusal(instance=held.binding.instance, reason=f"its node {room.node.name} has {lack}"))
            continue
        holding = replace(held, binding=_renewed(held, room))
        fleet.give_back(held)
        fleet.take(holding)
        placed.append(holding)
    return Outcome(tuple(placed), tuple(refusals))


def _lack(held: Holding, room: Room) -> str:
    """What the node does not have left for it; empty when nothing is lacking."""
    need, binding = held.need, held.binding
    if not need.host_network and not binding.ip and not room.addresses.left:
        return "no address left"
    if _gpus(binding, need, room) is None:
        return f"too few free GPUs for {need.gpus_wanted}"
    return ""


def _renewed(held: Holding, room: Room) -> Binding:
    need, binding = held.need, held.binding
    ip = "" if need.host_network else binding.ip or room.addresses.lowest()
    return msgspec.structs.replace(binding, ip=ip, gpus=_gpus(binding, need, room) or ())


def _gpus(binding: Binding, need: Need, room: Room) -> tuple[str, ...] | None:
    """Its own first: what it has it keeps."""
    own = [gpu for gpu in room.facts.gpus if gpu.id in binding.gpus] if room.facts else []
    return choose_gpus([*own, *room.free_gpus], need.gpus)
