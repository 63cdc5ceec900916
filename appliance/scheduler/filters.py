"""Which nodes an instance may go to; every filter that turns a node away says why."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from appliance.model.placement import NOT_READY, carries, tolerates
from appliance.model.service import Affinity
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import BY_NODE, Need
from appliance.scheduler.room import Room, choose_gpus

_PLURAL = {"is": "are", "has": "have", "lacks": "lack"}


@dataclass(frozen=True, slots=True)
class Filter:
    """`verb` and `rest` finish the sentence "1 node …". Only a need that `asks` has to be shown the nodes.

    Whom a filter turns away once, it turns away as long as nothing but more instances of this need are placed.
    `by_labels`: all nodes with the same values of the labels that the need speaks of fare the same.
    """

    name: str
    verb: str
    rest: Callable[[Need, Fleet], str]
    passes: Callable[[Need, Room, Fleet], bool]
    asks: Callable[[Need, Fleet], bool] = lambda _, __: True
    by_labels: Callable[[Need, Fleet], bool] = lambda _, __: False

    def sentence(self, need: Need, fleet: Fleet, count: int = 1) -> str:
        """``is cordoned``, or ``are cordoned`` for a `count` of nodes."""
        return f"{self.verb if count == 1 else _PLURAL[self.verb]} {self.rest(need, fleet)}"


def filters_for(need: Need, fleet: Fleet) -> tuple[Filter, ...]:
    """Those that may turn nodes away for this need, in the order in which they are asked."""
    return tuple(each for each in FILTERS if each.asks(need, fleet))


def refused_by(filters: Iterable[Filter], need: Need, room: Room, fleet: Fleet) -> Filter | None:
    """The first filter that turns the node away; None when it will do."""
    for each in filters:
        if not each.passes(need, room, fleet):
            return each
    return None


def keepers(need: Need, fleet: Fleet) -> tuple[Affinity, ...]:
    """Other deploys that have instances somewhere and keep away from this one, and by what."""
    return tuple(Affinity(deploy=deploy, by=by) for deploy, by in fleet.keeping_away(need) if deploy != need.deploy)


def explain(need: Need, counts: Mapping[str, int], fleet: Fleet) -> str:
    """``2 of 3 nodes have less than 4 cores free, 1 is cordoned``; `counts` by the filters' names."""
    nodes = len(fleet.rooms)
    if not nodes:
        return "the cluster has no nodes"
    parts: list[str] = []
    for each in FILTERS:
        if count := counts.get(each.name, 0):
            subject = str(count) if parts else f"{count} of {nodes} node{'s' if nodes > 1 else ''}"
            parts.append(f"{subject} {each.sentence(need, fleet, count)}")
    return ", ".join(parts)


def _pinned(need: Need, room: Room, _: Fleet) -> bool:
    return need.node in ("", room.node.id) and need.placement.node in ("", room.node.name)


def _wanted_node(need: Need, fleet: Fleet) -> str:
    room = fleet.rooms.get(need.node)
    return f"not {room.node.name if room else need.node or need.placement.node}, where it has to be"


def _ready(need: Need, room: Room, _: Fleet) -> bool:
    return room.state == "ready" or (room.state == "joining" and NOT_READY in need.placement.tolerate)


def _open(need: Need, room: Room, _: Fleet) -> bool:
    return need.every_node or not (room.node.cordoned or room.node.draining)


def _machine(need: Need, _: Fleet) -> str:
    allowed = "/".join(sorted(need.architectures or ()))
    return f"not {allowed}, which it is for" if allowed else "of no architecture that all its images are for"


def _wanted_labels(need: Need, _: Fleet) -> str:
    return "the label " + " and ".join(
        f"{name}={'|'.join(values)}" for name, values in sorted(need.placement.require.items())
    )


def _is_near(need: Need, room: Room, fleet: Fleet) -> bool:
    """The first instance of a deploy that is near itself goes anywhere."""
    return all(
        fleet.count(each.deploy, each.by, room) > 0 or (each.deploy == need.deploy and not fleet.exists(each.deploy))
        for each in need.near
    )


def _names(affinities: Iterable[Affinity]) -> str:
    return " and ".join(each.deploy if each.by == BY_NODE else f"{each.deploy} (by {each.by})" for each in affinities)


def _count(number: int) -> str:
    return f"{number} instance{'' if number == 1 else 's'} of it already"


def _cores(thousandths: int) -> str:
    return "1 core" if thousandths == 1000 else f"{thousandths / 1000:g} cores"


def _size(size: int) -> str:
    return f"{size / 2**30:g} GiB" if size >= 2**30 and not size % 2**28 else f"{size / 2**20:g} MiB"


def _gpus(need: Need, _: Fleet) -> str:
    return f"too few free GPUs for {need.gpus_wanted}"


def _stores(need: Need, room: Room, _: Fleet) -> bool:
    there = room.all_storage
    return all(medium in there and room.storage.get(medium, 0) + size <= there[medium] for medium, size in need.storage)


def _storage(need: Need, _: Fleet) -> str:
    sizes = [f"{_size(size)} of {medium}" if size else medium for medium, size in need.storage]
    return f"no room for volumes of {' and '.join(sizes)}"


def _wanted_ports(need: Need, _: Fleet) -> str:
    return f"port {', '.join(f'{port}/{protocol}' for protocol, port in sorted(need.ports))} in use"


def _near_labels(affinities: Iterable[Affinity]) -> bool:
    return all(each.by != BY_NODE for each in affinities)


FILTERS = (
    Filter("node", "is", _wanted_node, _pinned, lambda need, _: bool(need.node or need.placement.node)),
    Filter("evicted", "is", lambda *_: "evicted", lambda _, room, __: not room.node.evicted),
    Filter("ready", "is", lambda *_: "not ready", _ready),
    Filter("cordon", "is", lambda *_: "cordoned", _open),
    Filter(
        "avoid",
        "is",
        lambda *_: "the node that it moves away from",
        lambda need, room, _: room.node.id != need.avoid,
        lambda need, _: bool(need.avoid),
    ),
    Filter(
        "taints",
        "has",
        lambda *_: "taints that it does not tolerate",
        lambda need, room, _: not room.node.taints or tolerates(need.placement.tolerate, room.node.taints),
    ),
    Filter(
        "architecture",
        "is",
        _machine,
        lambda need, room, _: bool(room.facts and room.facts.architecture in (need.architectures or ())),
        lambda need, _: need.architectures is not None,
    ),
    Filter(
        "labels",
        "lacks",
        _wanted_labels,
        lambda need, room, _: carries(room.node.labels, need.placement.require),
        lambda need, _: bool(need.placement.require),
        lambda *_: True,
    ),
    Filter(
        "near",
        "is",
        lambda need, _: f"not near {_names(need.near)}",
        _is_near,
        lambda need, _: bool(need.near),
        lambda need, _: _near_labels(need.near),
    ),
    Filter(
        "away",
        "is",
        lambda need, _: f"too near {_names(need.away)}",
        lambda need, room, fleet: not any(fleet.count(each.deploy, each.by, room) for each in need.away),
        lambda need, _: bool(need.away),
        lambda need, _: _near_labels(need.away),
    ),
    Filter(
        "kept-away",
        "has",
        lambda need, fleet: f"{_names(keepers(need, fleet))} near, which keeps away from it",
        lambda need, room, fleet: not any(fleet.count(each.deploy, each.by, room) for each in keepers(need, fleet)),
        lambda need, fleet: bool(keepers(need, fleet)),
        lambda need, fleet: _near_labels(keepers(need, fleet)),
    ),
    Filter(
        "per-node",
        "has",
        lambda need, _: _count(need.placement.most_per_node),
        lambda need, room, _: room.deploys.get(need.deploy, 0) < need.placement.most_per_node,
        lambda need, _: need.placement.most_per_node > 0,
    ),
    Filter(
        "devices",
        "lacks",
        lambda need, _: f"the device {' or '.join(sorted(need.devices))}",
        lambda need, room, _: bool(room.facts and need.devices <= set(room.facts.devices)),
        lambda need, _: bool(need.devices),
    ),
    Filter(
        "cpu",
        "has",
        lambda need, _: f"less than {_cores(need.cpu)} free",
        lambda need, room, _: room.cpu + need.cpu <= room.all_cpu,
        lambda need, _: need.cpu > 0,
    ),
    Filter(
        "memory",
        "has",
        lambda need, _: f"less than {_size(need.memory)} of memory free",
        lambda need, room, _: room.memory + need.memory <= room.all_memory,
        lambda need, _: need.memory > 0,
    ),
    Filter(
        "gpus",
        "has",
        _gpus,
        lambda need, room, _: choose_gpus(room.free_gpus, need.gpus) is not None,
        lambda need, _: bool(need.gpus),
    ),
    Filter("storage", "has", _storage, _stores, lambda need, _: bool(need.storage)),
    Filter(
        "ports",
        "has",
        _wanted_ports,
        lambda need, room, _: room.ports.keys().isdisjoint(need.ports),
        lambda need, _: bool(need.ports),
    ),
    Filter(
        "addresses",
        "has",
        lambda *_: "no address left",
        lambda _, room, __: room.addresses.left > 0,
        lambda need, _: not need.host_network,
    ),
)
