"""Small fleets and needs for the tests of the scheduler."""

from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address

import msgspec

from appliance.model.instance import Binding
from appliance.model.node import Gpu, NodeFacts, NodeSpec, NodeState
from appliance.model.service import Affinity, Placement
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import Need
from appliance.scheduler.room import Addresses, Holding, Room
from appliance.scheduler.schedule import Outcome, schedule

GIB = 2**30
NOW = "2026-01-01T00:00:00Z"


def room(
    number: int,
    *,
    state: NodeState = "ready",
    cpu: int = 4000,
    memory: int = 8 * GIB,
    gpus: tuple[Gpu, ...] = (),
    storage: Mapping[str, int] | None = None,
    devices: tuple[str, ...] = (),
    addresses: int = 253,
    facts: bool = True,
    **spec: object,
) -> Room:
    """Node ``nN``; `spec` are fields of NodeSpec."""
    node = NodeSpec(id=f"n{number}", name=f"n{number}", number=number, address=f"192.0.2.{number}")
    measured = NodeFacts(
        version="1",
        architecture="x86_64",
        cpu=cpu,
        memory=memory,
        kernel="6",
        engine="docker",
        boot_id="b",
        gpus=gpus,
        storage=dict(storage or {}),
        devices=devices,
    )
    first = IPv4Address("10.0.0.2") + 256 * number
    return Room(msgspec.structs.replace(node, **spec), state, measured if facts else None, Addresses(first, addresses))


def fleet(*rooms: Room) -> Fleet:
    made = Fleet()
    for each in rooms:
        made.put(each)
    return made


def need(deploy: str = "s/web", *, placement: Placement | None = None, **wishes: object) -> Need:
    """`wishes` are fields of Need; those of the placement come in `placement`."""
    return Need(deploy=deploy, placement=placement or Placement(), **wishes)  # type: ignore[arg-type]


def near(deploy: str, by: str = "node") -> tuple[Affinity, ...]:
    return (Affinity(deploy=deploy, by=by),)


def place(wish: Need, count: int, among: Fleet) -> Outcome:
    """So many instances of one need, the lowest free indices."""
    return schedule([(f"{wish.deploy}-{index}", wish) for index in range(count)], among, NOW)


def settle(among: Fleet, wish: Need, *nodes: int) -> None:
    """Instances that have their nodes already."""
    for node in nodes:
        name = f"{wish.deploy}-{node}"
        among.take(Holding(Binding(instance=name, node=f"n{node}", ip="", bound_at=NOW), wish))


def per_node(outcome: Outcome) -> dict[str, int]:
    return dict(Counter(holding.binding.node for holding in outcome.placed))


def reason(outcome: Outcome) -> str:
    """The one sentence of all refusals."""
    (sentence,) = {refusal.reason for refusal in outcome.refusals}
    return sentence
