"""Where instances go, and the sentence for those that cannot go anywhere."""

from collections import Counter

from appliance.model.node import NodeSpec
from appliance.scheduler.filters import Need, Room
from appliance.scheduler.schedule import Outcome, schedule


def room(number: int, *, ready: bool = True, cordoned: bool = False, cpu: int = 4000, zone: str = "") -> Room:
    labels = {"zone": zone} if zone else {}
    address = f"192.0.2.{number}"
    node = NodeSpec(
        id=f"n{number}", name=f"n{number}", number=number, address=address, cordoned=cordoned, labels=labels
    )
    addresses = [f"10.{number >> 8}.{number & 255}.{host}" for host in range(254, 1, -1)]
    return Room(node, ready, "x86_64", cpu, 8 * 2**30, addresses)


def need(index: int = 0, deploy: str = "s/web", **wishes: object) -> Need:
    return Need(f"{deploy}-{index}", deploy, **wishes)  # type: ignore[arg-type]


def place(needs: list[Need], rooms: list[Room]) -> Outcome:
    return schedule(needs, rooms, "2026-01-01T00:00:00Z")


def per_node(outcome: Outcome) -> dict[str, int]:
    return dict(Counter(binding.node for binding in outcome.bindings))


def test_instances_spread_over_the_nodes_evenly() -> None:
    assert per_node(place([need(i) for i in range(7)], [room(1), room(2), room(3)])) == {"n1": 3, "n2": 2, "n3": 2}


def test_instances_spread_over_the_values_of_a_label() -> None:
    rooms = [room(1, zone="a"), room(2, zone="a"), room(3, zone="a"), room(4, zone="b")]
    assert per_node(place([need(i, spread="zone") for i in range(6)], rooms)) == {"n1": 1, "n2": 1, "n3": 1, "n4": 3}


def test_the_least_loaded_node_comes_first() -> None:
    rooms = [room(1), room(2)]
    rooms[0].take(need(0, "s/other", cpu=2000))
    assert per_node(place([need()], rooms)) == {"n2": 1}


def test_a_refusal_says_what_each_node_lacks() -> None:
    outcome = place([need(cpu=4000)], [room(1, cpu=2000), room(2, cpu=2000), room(3, cordoned=True)])
    assert outcome.refusals[0].reason == "1 of 3 nodes is cordoned, 2 have less than 4 cores free"
    assert outcome.refusals[0].counts == {"cpu": 2, "cordon": 1}


def test_what_fits_is_placed_and_only_the_rest_refused() -> None:
    outcome = place([need(i, ports=frozenset({("tcp", 80)})) for i in range(3)], [room(1), room(2)])
    assert per_node(outcome) == {"n1": 1, "n2": 1}
    assert [(one.instance, one.reason) for one in outcome.refusals] == [
        ("s/web-2", "2 of 2 nodes have port 80/tcp in use")
    ]


def test_memory_for_the_node_itself_is_not_given_away() -> None:
    assert place([need(memory=8 * 2**30)], [room(1)]).refusals
    assert place([need(memory=7 * 2**30)], [room(1)]).bindings


def test_labels_architecture_and_readiness_are_required() -> None:
    assert "lacks the label zone=b" in place([need(require=(("zone", ("b",)),))], [room(1)]).refusals[0].reason
    assert "is not aarch64" in place([need(architectures=frozenset({"aarch64"}))], [room(1)]).refusals[0].reason
    assert "is not ready" in place([need()], [room(1, ready=False)]).refusals[0].reason


def test_without_nodes_the_refusal_says_so() -> None:
    assert place([need()], []).refusals[0].reason == "the cluster has no nodes"


def test_a_full_node_takes_no_more() -> None:
    outcome = place([need(i) for i in range(254)], [room(1)])
    assert (len(outcome.bindings), outcome.refusals[0].reason) == (253, "1 of 1 node has no address left")
    assert len({binding.ip for binding in outcome.bindings}) == 253


def test_ten_thousand_instances_all_find_a_place_on_five_thousand_nodes() -> None:
    rooms = [room(number) for number in range(1, 5001)]
    needs = [need(i, cpu=10) for i in range(10_000)]
    assert len(place(needs, rooms).bindings) == 10_000
