"""Which manager a node follows: it stays as long as it can, and goes to one that is good."""

from collections import Counter

from appliance.link.choice import chosen


def test_the_one_that_is_followed_is_followed_on_while_it_is_good() -> None:
    assert all(chosen("m1", {"m1": True, "m2": True, "m3": True}, f"n{number}") == "m1" for number in range(20))


def test_a_good_one_takes_the_place_of_one_that_is_not_or_that_is_gone() -> None:
    assert chosen("m1", {"m1": False, "m2": False, "m3": True}, "n1") == "m3"
    assert chosen("m1", {"m2": False, "m3": True}, "n1") == "m3"


def test_where_none_is_good_it_stays_and_any_is_better_than_none() -> None:
    assert chosen("m1", {"m1": False, "m2": False}, "n1") == "m1"
    assert chosen("m1", {"m2": False}, "n1") == "m2"
    assert chosen("m1", {}, "n1") == ""


def test_nodes_spread_over_the_managers() -> None:
    links = {"m1": True, "m2": True, "m3": True}
    counts = Counter(chosen("", links, f"n{number}") for number in range(300))
    assert counts.keys() == links.keys() and min(counts.values()) > 60
