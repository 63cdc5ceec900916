"""Virtual addresses by the API: who gets a number, what is refused, and what people are shown."""

from itertools import pairwise

import msgspec
import pytest

from appliance.api.chronicle import drafts
from appliance.errors import Conflict, NotFound, Refused, UsageError
from appliance.model.node import NodeSpec
from appliance.model.vip import VipStatus
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.mirror import Alteration
from appliance.store.store import Entry, Put
from tests.unit.api.cluster_in_memory import InMemory


def add(cluster: InMemory, address: str, **more: object) -> dict[str, object]:
    row: dict[str, object] = cluster.ask("POST", "/api/vips", {"address": address, **more})
    return row


def label(cluster: InMemory, *names: str) -> None:
    for number, name in enumerate(names, 2):
        node = NodeSpec(id=f"n{number}", name=name, number=number, address=f"192.168.1.{number}", labels={"entry": ""})
        cluster.write(cluster.state.nodes.put(node.id, node))


def test_an_address_may_be_on_every_node_that_serves_the_entry(cluster: InMemory) -> None:
    label(cluster, "two", "three")
    row = add(cluster, "192.168.1.50/24", services=["shop"])
    assert sorted(row["candidates"]) == ["one", "three", "two"]  # type: ignore[call-overload]
    assert row["preferred"] == row["candidates"][0]  # type: ignore[index]
    assert (row["front"], row["state"], row["owners"], row["services"]) == ("entry", "starting", [], ["shop"])


def test_every_address_has_a_number_of_its_own_and_numbers_are_used_again(cluster: InMemory) -> None:
    assert [add(cluster, f"192.168.1.{n}/24")["router"] for n in (50, 51, 52)] == [1, 2, 3]
    cluster.ask("DELETE", "/api/vips/192.168.1.51")
    assert add(cluster, "192.168.1.53/24")["router"] == 2


def test_two_managers_never_give_the_same_number(cluster: InMemory) -> None:
    cluster.write(Put(f"{keys.ROUTERS}1", encode("192.168.1.99")))  # by another manager, a moment ago
    with pytest.raises(Conflict):
        add(cluster, "192.168.1.50/24")


@pytest.mark.parametrize(
    ("address", "refusal"),
    [
        ("192.168.1.50", UsageError),
        ("192.168.1.0/24", UsageError),
        ("10.0.0.1/24", Refused),  # the node's own
        ("10.0.7.7/24", Refused),  # of the instances' network
        ("10.9.9.9/24", Refused),  # the cluster's own
    ],
)
def test_what_belongs_to_something_else_is_refused(cluster: InMemory, address: str, refusal: type[Exception]) -> None:
    own_address(cluster)
    with pytest.raises(refusal):
        add(cluster, address)


def test_an_address_is_added_once(cluster: InMemory) -> None:
    add(cluster, "192.168.1.50/24")
    with pytest.raises(Conflict):
        add(cluster, "192.168.1.50/16")


def own_address(cluster: InMemory) -> None:
    known = cluster.state.cluster()
    assert known is not None
    cluster.write(Put(keys.CLUSTER, encode(msgspec.structs.replace(known, vip="10.9.9.9/24"))))


def test_the_clusters_own_address_comes_first_and_stays(cluster: InMemory) -> None:
    own_address(cluster)
    add(cluster, "192.168.1.50/24")
    rows = cluster.ask("GET", "/api/vips")
    assert [(row["address"], row["front"], row["router"]) for row in rows] == [
        ("10.9.9.9", "manager", 255),
        ("192.168.1.50", "entry", 1),
    ]
    with pytest.raises(Refused):
        cluster.ask("DELETE", "/api/vips/10.9.9.9")
    with pytest.raises(NotFound):
        cluster.ask("DELETE", "/api/vips/10.9.9.8")


def test_a_token_names_the_clusters_own_address_beside_the_managers(cluster: InMemory) -> None:
    from appliance.security.tokens import parse_token

    own_address(cluster)
    token = cluster.ask("POST", "/api/tokens", {"role": "agent"})["token"]
    assert parse_token(token).managers == ("10.0.0.1:8443", "10.9.9.9:8443")


@pytest.mark.parametrize(("owners", "state"), [((), "unheld"), (("n1",), "held"), (("n1", "n2"), "two owners")])
def test_the_list_says_who_has_it(cluster: InMemory, owners: tuple[str, ...], state: str) -> None:
    label(cluster, "two")
    add(cluster, "192.168.1.50/24")
    seen = VipStatus(address="192.168.1.50", owners=owners, since="2026-01-01T00:00:00Z")
    cluster.write(cluster.state.vip_status.put(seen.address, seen))
    (row,) = cluster.ask("GET", "/api/vips")
    assert (row["state"], row["owners"]) == (state, [{"n1": "one", "n2": "two"}[node] for node in owners])


def test_people_are_warned_of_two_owners_and_of_none() -> None:
    states = [VipStatus(address="10.0.0.50", owners=owners) for owners in ((), ("n1",), ("n1", "n2"), ())]
    entries = [Entry(f"{keys.VIP_STATUS}10.0.0.50", encode(state), n) for n, state in enumerate(states, 1)]
    told = [drafts(Alteration(new.key, old, new)) for old, new in pairwise(entries)]
    assert [[draft.level for draft in each] for each in told] == [["info"], ["warning"], ["warning"]]
