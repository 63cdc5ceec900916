"""Addresses spread evenly over the nodes, and few of them move when a node comes or goes."""

from collections import Counter

import pytest

from appliance.errors import UsageError
from appliance.model.node import Dial, NodeSpec
from appliance.model.vip import PlacedVip, parse_vip
from appliance.network.vip import orders_of, within_hearing
from appliance.network.vip_host import vrrp_chain

ADDRESSES = [f"10.0.0.{number}" for number in range(100, 160)]


def nodes(count: int) -> list[str]:
    return [f"n-{number:012x}" for number in range(count)]


def first(count: int) -> dict[str, str]:
    return {address: order[0] for address, order in orders_of(ADDRESSES, nodes(count)).items()}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 100])
def test_no_node_is_the_first_choice_of_more_than_its_share(count: int) -> None:
    assert max(Counter(first(count).values()).values()) <= -(-len(ADDRESSES) // count)


def test_every_node_is_in_every_order_once() -> None:
    for order in orders_of(ADDRESSES, nodes(5)).values():
        assert sorted(order) == nodes(5)


def test_a_new_node_takes_its_share_and_little_else_moves() -> None:
    before, after = first(5), first(6)
    moved = [address for address in ADDRESSES if before[address] != after[address]]
    assert len(moved) <= len(ADDRESSES) // 3


def test_without_nodes_nobody_is_preferred() -> None:
    assert orders_of(ADDRESSES[:1], []) == {ADDRESSES[0]: []}


@pytest.mark.parametrize(
    ("dials", "candidates"),
    [
        (["agent", "agent", "agent"], [0, 1, 2]),
        (["agent", "manager", "manager"], [1, 2]),
        (["agent", "manager"], [0]),
        (["agent", "agent", "manager"], [0, 1]),
    ],
)
def test_only_nodes_that_hear_each_other_stand_by_for_one_address(dials: list[Dial], candidates: list[int]) -> None:
    nodes = [
        NodeSpec(id=f"n{number}", name=f"n{number}", number=number, address=f"10.0.0.{number}", dial=dial)
        for number, dial in enumerate(dials)
    ]
    assert within_hearing(nodes) == [nodes[number] for number in candidates]


@pytest.mark.parametrize("text", ["10.0.0.5", "10.0.0.0/24", "10.0.0.255/24", "127.0.0.1/8", "fe80::1/64", "x/24"])
def test_what_no_host_can_have_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_vip(text)


def test_an_address_is_taken_apart() -> None:
    assert parse_vip("10.0.0.5/24") == ("10.0.0.5", 24)
    assert parse_vip("10.0.0.5/32") == ("10.0.0.5", 32)


def test_vrrp_is_taken_from_the_candidates_only() -> None:
    vip = PlacedVip(
        address="10.0.0.50",
        length=24,
        router=1,
        front="entry",
        interface="eth0",
        device="eth0",
        own="10.0.0.1",
        peers=("10.0.0.3", "10.0.0.2"),
        rank=0,
    )
    assert vrrp_chain([vip]).rules == (
        ("-s", "10.0.0.2/32", "-d", "10.0.0.1/32", "-p", "112", "-j", "ACCEPT"),
        ("-s", "10.0.0.3/32", "-d", "10.0.0.1/32", "-p", "112", "-j", "ACCEPT"),
        ("-d", "10.0.0.1/32", "-p", "112", "-j", "DROP"),
    )
