"""Where instances go."""

from appliance.model.service import Placement
from appliance.scheduler.schedule import schedule, verdicts
from tests.unit.scheduler.fleets import NOW, fleet, near, need, per_node, place, reason, room, settle


def test_instances_spread_over_the_nodes_evenly() -> None:
    assert per_node(place(need(), 7, fleet(room(1), room(2), room(3)))) == {"n1": 3, "n2": 2, "n3": 2}


def test_instances_spread_over_the_values_of_a_label() -> None:
    nodes = [room(number, labels={"zone": "b" if number == 4 else "a"}) for number in (1, 2, 3, 4)]
    outcome = place(need(placement=Placement(spread="zone")), 6, fleet(*nodes))
    assert per_node(outcome) == {"n1": 1, "n2": 1, "n3": 1, "n4": 3}


def test_what_is_there_already_counts_for_the_spread() -> None:
    nodes = [room(number, labels={"zone": "a" if number < 3 else "b"}) for number in (1, 2, 3, 4)]
    by_zone = need(placement=Placement(spread="zone"))
    among = fleet(*nodes)
    settle(among, by_zone, 1, 2)
    assert per_node(place(by_zone, 2, among)) == {"n3": 1, "n4": 1}


def test_the_least_loaded_node_comes_first() -> None:
    among = fleet(room(1), room(2))
    settle(among, need("s/other", cpu=2000), 1)
    assert per_node(place(need(), 1, among)) == {"n2": 1}


def test_labels_wished_for_win_over_spread_and_load_as_long_as_there_is_room() -> None:
    wish = need(cpu=1000, placement=Placement(prefer={"rack": ("r2",)}))
    among = fleet(room(1), room(2, labels={"rack": "r2"}), room(3, labels={"rack": "r1"}))
    assert per_node(place(wish, 6, among)) == {"n2": 4, "n1": 1, "n3": 1}


def test_higher_priority_is_placed_first() -> None:
    low, high = need("s/a", cpu=3000), need("s/b", cpu=3000, priority=1)
    outcome = schedule([("s/a-0", low), ("s/b-0", high)], fleet(room(1)), NOW)
    assert [holding.binding.instance for holding in outcome.placed] == ["s/b-0"]


def test_what_fits_is_placed_and_only_the_rest_refused() -> None:
    outcome = place(need(ports=frozenset({("tcp", 80)})), 3, fleet(room(1), room(2)))
    assert per_node(outcome) == {"n1": 1, "n2": 1}
    assert [(one.instance, one.reason) for one in outcome.refusals] == [
        ("s/web-2", "2 of 2 nodes have port 80/tcp in use")
    ]


def test_a_refusal_says_what_each_node_lacks() -> None:
    outcome = place(need(cpu=4000), 1, fleet(room(1, cpu=2000), room(2, cpu=2000), room(3, cordoned=True)))
    assert reason(outcome) == "1 of 3 nodes is cordoned, 2 have less than 4 cores free"
    assert outcome.refusals[0].counts == {"cpu": 2, "cordon": 1}


def test_without_nodes_the_refusal_says_so() -> None:
    assert reason(place(need(), 1, fleet())) == "the cluster has no nodes"


def test_a_full_node_takes_no_more_and_gives_every_address_once() -> None:
    outcome = place(need(), 254, fleet(room(1)))
    assert (len(outcome.placed), reason(outcome)) == (253, "1 of 1 node has no address left")
    assert len({holding.binding.ip for holding in outcome.placed}) == 253


def test_an_address_that_came_free_is_given_again() -> None:
    among = fleet(room(1, addresses=2))
    first, _ = place(need(), 2, among).placed
    among.give_back(first)
    assert place(need(), 1, among).placed[0].binding.ip == first.binding.ip


def test_on_the_nodes_own_network_no_address_is_needed() -> None:
    outcome = place(need(host_network=True), 1, fleet(room(1, addresses=0)))
    assert outcome.placed[0].binding.ip == ""


def test_the_first_of_a_deploy_that_is_near_itself_goes_anywhere_and_the_others_there() -> None:
    nodes = [room(number, labels={"rack": f"r{number % 2}"}) for number in (1, 2, 3, 4)]
    assert per_node(place(need(near=near("s/web", "rack")), 4, fleet(*nodes))) == {"n1": 2, "n3": 2}
    assert per_node(place(need("s/pack", near=near("s/pack")), 3, fleet(room(1), room(2)))) == {"n1": 3}


def test_one_instance_in_each_rack() -> None:
    nodes = [room(number, labels={"rack": f"r{number % 2}"}) for number in (1, 2, 3, 4)]
    outcome = place(need(away=near("s/web", "rack")), 3, fleet(*nodes))
    assert per_node(outcome) == {"n1": 1, "n2": 1}
    assert reason(outcome) == "4 of 4 nodes are too near s/web (by rack)"


def test_who_has_a_node_of_its_own_is_kept_away_from_as_well() -> None:
    among = fleet(room(1), room(2))
    settle(among, need("s/db", away=near("s/batch")), 1)
    assert per_node(place(need("s/batch"), 2, among)) == {"n2": 2}
    assert reason(place(need("s/batch", node="n1"), 1, among)) == (
        "1 of 2 nodes is not n1, where it has to be, 1 has s/db near, which keeps away from it"
    )


def test_verdicts_name_every_node() -> None:
    among = fleet(room(1), room(2, cordoned=True), room(3, cpu=100))
    assert verdicts(need(cpu=200), among) == {"n1": "", "n2": "is cordoned", "n3": "has less than 0.2 cores free"}


def test_ten_thousand_instances_all_find_a_place_on_five_thousand_nodes() -> None:
    among = fleet(*(room(number) for number in range(1, 5001)))
    assert len(place(need(cpu=10), 10_000, among).placed) == 10_000
