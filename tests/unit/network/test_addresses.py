"""Which address belongs to whom."""

import pytest

from appliance.errors import Refused, UsageError
from appliance.network.addresses import free_address, gateway_of, overlapping, parse_network, subnet_of, vtep_address

NETWORK = "10.42.0.0/16"


def test_a_node_has_the_subnet_of_its_number() -> None:
    assert str(subnet_of(NETWORK, 1)) == "10.42.1.0/24"
    assert str(subnet_of(NETWORK, 254)) == "10.42.254.0/24"
    assert (vtep_address(NETWORK, 7), gateway_of(NETWORK, 7)) == ("10.42.7.0", "10.42.7.1")


@pytest.mark.parametrize("number", [0, 255, -1])
def test_a_number_without_a_subnet_is_refused(number: int) -> None:
    with pytest.raises(UsageError):
        subnet_of(NETWORK, number)


def test_instances_get_the_lowest_free_address() -> None:
    assert free_address(NETWORK, 3, set()) == "10.42.3.2"
    assert free_address(NETWORK, 3, {"10.42.3.2", "10.42.3.4"}) == "10.42.3.3"


def test_a_full_subnet_says_so() -> None:
    taken = {f"10.42.3.{last}" for last in range(2, 255)}
    assert free_address(NETWORK, 3, taken - {"10.42.3.254"}) == "10.42.3.254"
    with pytest.raises(Refused):
        free_address(NETWORK, 3, taken)


@pytest.mark.parametrize("text", ["10.42.0.1/16", "10.42.0.0/24", "8.8.0.0/16", "127.0.0.0/16", "fd00::/16", "x"])
def test_a_network_that_cannot_carry_the_instances_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_network(text)


def test_overlapping_networks_are_named() -> None:
    assert overlapping(NETWORK, ["10.0.0.0/8", "192.168.1.0/24", "10.42.9.7/32"]) == ["10.0.0.0/8", "10.42.9.7/32"]
