"""Which address belongs to whom."""

from ipaddress import IPv4Address

import pytest

from appliance.errors import UsageError
from appliance.model.addresses import (
    LARGEST_NUMBER,
    gateway_of,
    instance_addresses,
    parse_network,
    subnet_of,
    virtual_addresses,
    vtep_address,
)

NETWORK = "10.42.0.0/16"


def test_a_node_has_the_subnet_of_its_number() -> None:
    assert str(subnet_of(NETWORK, 1)) == "10.42.1.0/24"
    assert str(subnet_of(NETWORK, 254)) == "10.42.254.0/24"
    assert (vtep_address(NETWORK, 7), gateway_of(NETWORK, 7)) == ("10.42.7.0", "10.42.7.1")


@pytest.mark.parametrize("number", [0, 255, -1])
def test_a_number_without_a_subnet_is_refused(number: int) -> None:
    with pytest.raises(UsageError):
        subnet_of(NETWORK, number)


def test_instances_have_what_the_node_itself_does_not_use() -> None:
    first, count = instance_addresses(NETWORK, 7)
    assert (str(first), str(first + count - 1)) == ("10.42.7.2", "10.42.7.254")


def test_stable_addresses_are_those_that_no_node_has() -> None:
    addresses = virtual_addresses(NETWORK)
    assert (addresses[0], addresses[-1], len(set(addresses))) == ("10.42.0.1", "10.42.255.254", 508)
    nodes = [subnet_of(NETWORK, number) for number in range(1, LARGEST_NUMBER + 1)]
    assert not [each for each in addresses if any(IPv4Address(each) in subnet for subnet in nodes)]


@pytest.mark.parametrize("text", ["10.42.0.1/16", "10.42.0.0/24", "8.8.0.0/16", "127.0.0.0/16", "fd00::/16", "x"])
def test_a_network_that_cannot_carry_the_instances_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_network(text)
