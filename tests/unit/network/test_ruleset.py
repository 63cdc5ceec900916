"""The text of a node's table, compared whole, and that every ready instance has exactly one place in it."""

import re
from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from appliance.model.directory import DeployNames, Directory, Endpoint, Policy
from appliance.network.ruleset import ruleset


def endpoint(service: str, deploy: str, index: int, ip: str, *, node: str = "n1", ready: bool = True) -> Endpoint:
    name = f"{service}/{deploy}-{index}"
    return Endpoint(instance=name, service=service, deploy=deploy, index=index, ip=ip, node=node, ready=ready)


def directory(*endpoints: Endpoint, isolated: dict[str, tuple[str, ...]] | None = None, **virtual: str) -> Directory:
    """`virtual`: the stable address of each deploy of the service ``shop``."""
    return Directory(
        endpoints={each.instance: each for each in endpoints},
        deploys={f"shop/{deploy}": DeployNames(virtual=ip) for deploy, ip in virtual.items()},
        policies={service: Policy(allow=allow) for service, allow in (isolated or {}).items()},
    )


def text(known: Directory, number: int = 3) -> str:
    return ruleset(known, network="10.42.0.0/16", node="n1", number=number)


def test_the_table_of_a_node() -> None:
    known = directory(
        endpoint("shop", "web", 0, "10.42.1.2"),
        endpoint("shop", "web", 1, "10.42.2.2", node="n2"),
        endpoint("shop", "web", 2, "10.42.2.3", node="n2", ready=False),
        endpoint("shop", "db", 0, "10.42.1.3"),
        endpoint("shop", "idle", 0, "10.42.1.4", ready=False),
        endpoint("front", "web", 0, "10.42.3.2", node="n3"),
        endpoint("other", "web", 0, "10.42.1.5"),
        isolated={"shop": ("front", "none"), "front": ()},
        web="10.42.0.9",
        db="10.42.255.1",
        idle="10.42.0.10",
        portless="",
    )
    ours = "10.42.0.0/24, 10.42.255.0/24"
    assert text(known) == dedent(f"""\
        add table ip appliance
        delete table ip appliance
        table ip appliance {{
          map balance {{
            type ipv4_addr : verdict
            elements = {{ 10.42.255.1 : goto to-shop/db, 10.42.0.9 : goto to-shop/web }}
          }}
          map isolated {{
            type ipv4_addr : verdict
            elements = {{ 10.42.1.3 : goto into-shop, 10.42.1.4 : goto into-shop, 10.42.1.2 : goto into-shop }}
          }}
          chain to-shop/db {{
            dnat to 10.42.1.3
          }}
          chain to-shop/web {{
            dnat to numgen inc mod 2 map {{ 0 : 10.42.2.2, 1 : 10.42.1.2 }}
          }}
          chain into-shop {{
            ip saddr & 255.255.0.254 == 10.42.0.0 accept
            ip saddr {{ 10.42.1.3, 10.42.1.4, 10.42.1.2, 10.42.2.2, 10.42.2.3, 10.42.3.2 }} accept
            drop
          }}
          chain refuse {{
            meta l4proto tcp reject with tcp reset
            reject with icmp port-unreachable
          }}
          chain prerouting {{
            type nat hook prerouting priority -110
            ip daddr vmap @balance
          }}
          chain output {{
            type nat hook output priority -110
            ip daddr vmap @balance
          }}
          chain postrouting {{
            type nat hook postrouting priority 90
            oifname "appliance0" ip saddr 10.42.3.0/24 ct original ip daddr {{ {ours} }} masquerade
          }}
          chain forward {{
            type filter hook forward priority -10
            ct state established,related accept
            ip daddr {{ {ours} }} goto refuse
            ip daddr vmap @isolated
          }}
          chain leaving {{
            type filter hook output priority -10
            ip daddr {{ {ours} }} goto refuse
          }}
        }}
        """)


def test_nodes_begin_at_different_instances() -> None:
    known = directory(*(endpoint("shop", "web", i, f"10.42.1.{i + 2}") for i in range(3)), web="10.42.0.9")
    firsts = {re.findall(r"map \{ 0 : ([\d.]+)", text(known, number))[0] for number in (1, 2, 3)}
    assert firsts == {"10.42.1.2", "10.42.1.3", "10.42.1.4"}


SOME = st.lists(st.tuples(st.sampled_from(["web", "db", "idle"]), st.booleans()), max_size=40)


@given(SOME, st.integers(1, 254))
def test_every_ready_instance_appears_exactly_once_and_no_other(some: list[tuple[str, bool]], number: int) -> None:
    known = directory(
        *(endpoint("shop", deploy, i, f"10.42.7.{i + 2}", ready=ready) for i, (deploy, ready) in enumerate(some)),
        web="10.42.0.1",
        db="10.42.0.2",
    )
    written = [
        ip for line in text(known, number).splitlines() if "dnat to" in line for ip in re.findall(r"[\d.]{8,}", line)
    ]
    balanced = [each.ip for each in known.endpoints.values() if each.ready and each.deploy != "idle"]
    assert sorted(written) == sorted(balanced)
