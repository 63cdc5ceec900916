"""The engine's rules for published ports, as `iptables -t nat -S` prints them."""

from ipaddress import IPv4Network

from appliance.network.published import leads_to_them, rules_of

SUBNET = IPv4Network("10.42.7.0/24")
JUMP = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"
PUBLISHED = "-A DOCKER ! -i appliance0 -p tcp -m tcp --dport 18080 -j DNAT --to-destination 10.42.7.2:8080"
HAIRPIN = "-A POSTROUTING -s 10.42.7.2/32 -d 10.42.7.2/32 -p tcp -m tcp --dport 8080 -j MASQUERADE"
FOREIGN = [
    "-P PREROUTING ACCEPT",
    "-N DOCKER",
    "-A PREROUTING -i eth1 -p tcp -m tcp --dport 99 -j REDIRECT --to-ports 100",
    "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "-A POSTROUTING -j APPLIANCE-POSTROUTING",
    "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
    "-A DOCKER -i docker0 -j RETURN",
    "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80",
]


def test_what_leads_to_our_instances_is_remembered_and_nothing_else() -> None:
    assert rules_of([*FOREIGN, JUMP, PUBLISHED, HAIRPIN], SUBNET) == (PUBLISHED, HAIRPIN, JUMP)


def test_without_a_published_port_there_is_nothing_to_put_back() -> None:
    assert rules_of([*FOREIGN, JUMP], SUBNET) == ()


def test_a_flushed_table_leads_nowhere() -> None:
    assert leads_to_them([JUMP])
    assert not leads_to_them(FOREIGN)
