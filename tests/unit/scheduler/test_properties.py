"""What holds for every fleet and every wish, worked out anew from the bindings alone."""

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as some

from appliance.model.instance import Binding
from appliance.model.node import Gpu
from appliance.model.service import Affinity, Placement
from appliance.scheduler.filters import FILTERS
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import BY_NODE, Need
from appliance.scheduler.room import Holding
from appliance.scheduler.schedule import Outcome, Pending, schedule, verdicts
from tests.unit.scheduler.fleets import GIB, NOW, fleet, place, room

unhurried = settings(deadline=None, max_examples=150)

DEPLOYS = ("s/a", "s/b", "t/c")
LABELS = {"zone": ("x", "y"), "rack": ("1", "2", "3")}

labels = some.fixed_dictionaries({}, optional={name: some.sampled_from(each) for name, each in LABELS.items()})
nodes = some.fixed_dictionaries(
    {
        "labels": labels,
        "cordoned": some.sampled_from([False, False, False, True]),
        "taints": some.sampled_from([{}, {}, {"gpu": ""}]),
        "state": some.sampled_from(["ready", "ready", "ready", "joining", "unreachable"]),
        "cpu": some.integers(0, 4).map(lambda cores: cores * 1000),
        "memory": some.integers(1, 4).map(lambda size: size * GIB),
        "gpus": some.integers(0, 2).map(lambda count: tuple(Gpu(id=str(each), model="T4") for each in range(count))),
        "storage": some.sampled_from([{}, {"ssd": 2 * GIB}, {"ssd": 5 * GIB}]),
        "addresses": some.integers(0, 5),
    }
)
affinities = some.lists(
    some.builds(Affinity, deploy=some.sampled_from(DEPLOYS), by=some.sampled_from([BY_NODE, *LABELS])), max_size=2
).map(tuple)
placements = some.builds(
    Placement,
    require=some.sampled_from([{}, {}, {"zone": ("x",)}, {"rack": ("1", "2")}]),
    prefer=some.sampled_from([{}, {"rack": ("2",)}]),
    spread=some.sampled_from([BY_NODE, *LABELS]),
    tolerate=some.sampled_from([(), ("gpu",), ("*",), ("not-ready",)]),
    most_per_node=some.integers(0, 2),
)
needs = some.builds(
    Need,
    deploy=some.sampled_from(DEPLOYS),
    priority=some.integers(0, 1),
    placement=placements,
    near=affinities,
    away=affinities,
    host_network=some.booleans(),
    cpu=some.sampled_from([0, 500, 1500]),
    memory=some.sampled_from([0, GIB]),
    gpus=some.sampled_from([(), (), ((1, ""),), ((1, "T4"), (1, ""))]),
    storage=some.sampled_from([(), (("ssd", GIB),)]),
    ports=some.sampled_from([frozenset(), frozenset({("tcp", 80)})]),
)
simple = needs.map(lambda need: replace(need, near=(), away=()))


def fleet_of(nodes: list[dict[str, Any]]) -> Fleet:
    return fleet(*(room(number, **fields) for number, fields in enumerate(nodes, 1)))


def pending_of(wishes: list[tuple[Need, int]]) -> list[Pending]:
    """Names are unique; one deploy may have instances of several needs, as during an update."""
    return [
        (f"{need.deploy}-{place}{index}", need)
        for place, (need, count) in enumerate(wishes, 1)
        for index in range(count)
    ]


roomy = some.lists(some.fixed_dictionaries({"labels": labels}), min_size=2, max_size=6)
"""Nothing but affinity turns anybody away here."""
neighbours = some.builds(
    Need,
    deploy=some.sampled_from(DEPLOYS),
    near=some.just(()) | affinities,
    away=affinities,
    placement=some.builds(Placement),
)

wishes = some.lists(some.tuples(needs, some.integers(1, 6)), min_size=1, max_size=4).map(pending_of)
fleets = some.lists(nodes, max_size=6)


def on(outcome: Outcome, node: str) -> list[Holding]:
    return [holding for holding in outcome.placed if holding.binding.node == node]


def place_of(among: Fleet, node: str, by: str) -> str | None:
    """A node without the label shares its place with nobody."""
    return node if by == BY_NODE else among.rooms[node].node.labels.get(by)


@unhurried
@given(fleets, wishes)
def test_no_node_ever_has_more_than_it_holds(nodes: list[dict[str, Any]], pending: list[Pending]) -> None:
    among = fleet_of(nodes)
    outcome = schedule(pending, among, NOW)
    for name, each in among.rooms.items():
        held = on(outcome, name)
        here = [holding.need for holding in held]
        assert not any(need.cpu for need in here) or sum(need.cpu for need in here) <= each.all_cpu
        assert sum(need.memory for need in here) <= max(0, each.all_memory)
        assert sum(dict(need.storage).get("ssd", 0) for need in here) <= each.all_storage.get("ssd", 0)
        gpus = [gpu for holding in held for gpu in holding.binding.gpus]
        assert len(gpus) == len(set(gpus)) == sum(count for need in here for count, _ in need.gpus)
        assert set(gpus) <= {gpu.id for gpu in each.facts.gpus} if each.facts else not gpus
        ports = [port for need in here for port in need.ports]
        assert len(ports) == len(set(ports))
        ips = [holding.binding.ip for holding in held if not holding.need.host_network]
        assert len(ips) == len(set(ips)) <= nodes[each.node.number - 1]["addresses"]
        assert "" not in ips


@unhurried
@given(fleets, wishes)
def test_every_instance_is_bound_once_or_refused_once(nodes: list[dict[str, Any]], pending: list[Pending]) -> None:
    outcome = schedule(pending, fleet_of(nodes), NOW)
    answered = [each.binding.instance for each in outcome.placed] + [each.instance for each in outcome.refusals]
    assert sorted(answered) == sorted(name for name, _ in pending)


@unhurried
@given(fleets, wishes)
def test_every_refusal_accounts_for_every_node_and_names_each_filter(
    nodes: list[dict[str, Any]], pending: list[Pending]
) -> None:
    among, needs = fleet_of(nodes), dict(pending)
    for refusal in schedule(pending, among, NOW).refusals:
        assert sum(refusal.counts.values()) == len(nodes)
        asked = [each for each in FILTERS if each.name in refusal.counts]
        assert len(asked) == len(refusal.counts)
        for each in asked:
            count = refusal.counts[each.name]
            subject = f"{count} of {len(nodes)} node{'s' if len(nodes) > 1 else ''}" if each is asked[0] else f"{count}"
            # Who keeps away from it is known at the moment of the refusal only.
            sentence = "ha" if each.name == "kept-away" else each.sentence(needs[refusal.instance], among, count)
            assert f"{subject} {sentence}" in refusal.reason


@unhurried
@given(fleets, wishes)
def test_what_was_refused_last_has_indeed_no_node(nodes: list[dict[str, Any]], pending: list[Pending]) -> None:
    """Later placements take room only, except that a new neighbour may make another deploy's `near` possible."""
    among = fleet_of(nodes)
    outcome = schedule(pending, among, NOW)
    needs = dict(pending)
    for refusal in outcome.refusals:
        need = needs[refusal.instance]
        if not need.near:
            assert all(verdicts(need, among).values())


@unhurried
@given(fleets | roomy, some.tuples(needs | neighbours, some.integers(1, 6)).map(lambda one: pending_of([one])))
def test_affinity_and_the_most_per_node_hold(nodes: list[dict[str, Any]], pending: list[Pending]) -> None:
    among = fleet_of(nodes)
    outcome = schedule(pending, among, NOW)
    need = pending[0][1]
    per_node = Counter(holding.binding.node for holding in outcome.placed)
    most = need.placement.most_per_node
    assert not most or max(per_node.values(), default=0) <= most
    for each in need.away:
        places = [place_of(among, node, each.by) for node in per_node.elements()]
        labelled = [place for place in places if place is not None]
        assert each.deploy != need.deploy or len(labelled) == len(set(labelled))
    for each in need.near:
        places = [place_of(among, node, each.by) for node in per_node.elements()]
        assert each.deploy == need.deploy or not places, "the other deploy has no instance anywhere"
        assert len(set(places)) <= 1


@unhurried
@given(roomy, some.lists(some.tuples(neighbours, some.integers(1, 3)), min_size=2, max_size=4).map(pending_of))
def test_nobody_is_placed_beside_whom_keeps_away(nodes: list[dict[str, Any]], pending: list[Pending]) -> None:
    among = fleet_of(nodes)
    placed = schedule(pending, among, NOW).placed
    for one in placed:
        for each in one.need.away:
            mine = place_of(among, one.binding.node, each.by)
            others = [
                other
                for other in placed
                if other is not one
                and other.need.deploy == each.deploy
                # A later revision of the same deploy may keep away although an earlier one did not.
                and (other.need.deploy != one.need.deploy or other.need == one.need)
            ]
            assert mine is None or all(place_of(among, other.binding.node, each.by) != mine for other in others)


@unhurried
@given(some.lists(some.sampled_from("xyz"), min_size=1, max_size=8), some.integers(1, 20), some.booleans())
def test_the_spread_is_even_within_one(zones: list[str], count: int, by_node: bool) -> None:
    among = fleet(*(room(number, labels={"zone": zone}) for number, zone in enumerate(zones, 1)))
    spread = BY_NODE if by_node else "zone"
    outcome = place(Need(deploy="s/a", placement=Placement(spread=spread)), count, among)
    held = Counter(place_of(among, holding.binding.node, spread) for holding in outcome.placed)
    counts = [held[place_of(among, node, spread)] for node in among.rooms]
    assert sum(held.values()) == count
    assert max(counts) - min(counts) <= 1


@unhurried
@given(fleets, wishes, some.randoms(use_true_random=False))
def test_the_order_of_nodes_and_instances_does_not_matter(
    nodes: list[dict[str, Any]], pending: list[Pending], random: Any
) -> None:
    rooms = [room(number, **fields) for number, fields in enumerate(nodes, 1)]
    again = [room(number, **fields) for number, fields in enumerate(nodes, 1)]
    shuffled = list(pending)
    random.shuffle(again)
    random.shuffle(shuffled)
    assert _answer(schedule(pending, fleet(*rooms), NOW)) == _answer(schedule(shuffled, fleet(*again), NOW))


def _answer(outcome: Outcome) -> tuple[list[Binding], list[bytes]]:
    return [each.binding for each in outcome.placed], [msgspec.json.encode(r, order="sorted") for r in outcome.refusals]


@unhurried
@given(fleets, nodes, simple, some.lists(some.tuples(simple, some.integers(1, 3)), max_size=2).map(pending_of))
def test_one_more_node_never_makes_an_instance_homeless(
    nodes: list[dict[str, Any]], new: dict[str, Any], need: Need, before: list[Pending]
) -> None:
    among = fleet_of(nodes)
    schedule(before, among, NOW)
    could = not all(verdicts(need, among).values())
    among.put(room(len(nodes) + 1, **new))
    assert len(place(need, 1, among).placed) == 1 or not could


@unhurried
@given(fleets, wishes)
def test_what_is_given_back_leaves_the_fleet_as_it_was(nodes: list[dict[str, Any]], pending: list[Pending]) -> None:
    among = fleet_of(nodes)
    outcome = schedule(pending, among, NOW)
    for holding in outcome.placed:
        among.give_back(holding)
    assert _answer(schedule(pending, among, NOW)) == _answer(outcome)
