"""With which state a cluster goes on after a restore, and what a dry run says."""

import msgspec
import pytest

from appliance.delivery.restored_state import Change, changes, other_managers, restored
from appliance.errors import Refused
from appliance.model.cluster import Cluster
from appliance.model.node import NodeSpec
from appliance.store import keys
from appliance.store.codec import decode, encode
from tests.unit.first_manager import FIRST

CLUSTER = Cluster(
    id="c1",
    name="test",
    url="https://10.0.0.1:8443/",
    network="10.99.0.0/16",
    ca_fingerprint="0" * 64,
    created_at="2026-01-01T00:00:00Z",
)
ONE = NodeSpec(id="n1", name="one", number=1, address="10.0.0.1", roles=("manager", "agent"))
TWO = NodeSpec(id="n2", name="two", number=2, address="10.0.0.2", roles=("manager", "agent"))
THREE = NodeSpec(id="n3", name="three", number=3, address="10.0.0.3")
ENTRIES = {
    keys.CLUSTER: encode(CLUSTER),
    **{keys.NODES + node.id: encode(node) for node in (ONE, TWO, THREE)},
    keys.SERVICES + "shop": b"{}",
}


def cluster_of(entries: dict[str, bytes]) -> Cluster:
    return decode(entries[keys.CLUSTER], Cluster, where="")


def node_of(entries: dict[str, bytes], node: str) -> NodeSpec:
    return decode(entries[keys.NODES + node], NodeSpec, where="")


def test_nothing_else_changes_than_what_has_to() -> None:
    after = restored(ENTRIES, FIRST, 0.0)
    assert {key for key in after if after[key] != ENTRIES.get(key)} == {keys.CLUSTER, keys.NODES + "n2"}
    assert after.keys() == ENTRIES.keys()


def test_the_cluster_is_held_at_first() -> None:
    assert cluster_of(restored(ENTRIES, FIRST, 0.0)).held


def test_the_incarnation_is_higher_than_any_before() -> None:
    assert cluster_of(restored(ENTRIES, FIRST, 0.0)).incarnation == 1
    first, second = (cluster_of(restored(ENTRIES, FIRST, now)).incarnation for now in (1000.0, 1100.0))
    assert first < second


def test_other_managers_are_agents_from_now_on() -> None:
    after = restored(ENTRIES, FIRST, 0.0)
    assert node_of(after, "n2").roles == ("agent",)
    assert node_of(after, "n1").roles == ("manager", "agent")
    assert node_of(after, "n3") == THREE
    assert other_managers(ENTRIES, "n1") == [TWO]


def test_another_address_is_that_of_the_node_and_of_the_page() -> None:
    moved = msgspec.structs.replace(FIRST, address="10.0.0.9")
    after = restored(ENTRIES, moved, 0.0)
    assert node_of(after, "n1").address == "10.0.0.9"
    assert cluster_of(after).url == "https://10.0.0.9:8443/"


def test_an_address_of_the_cluster_itself_stays() -> None:
    own = msgspec.structs.replace(CLUSTER, vip="10.0.0.100/24", url="https://10.0.0.100:8443/")
    moved = msgspec.structs.replace(FIRST, address="10.0.0.9")
    assert cluster_of(restored(ENTRIES | {keys.CLUSTER: encode(own)}, moved, 0.0)).url == own.url


def test_a_manager_that_the_backup_does_not_know_is_refused() -> None:
    with pytest.raises(Refused):
        restored(ENTRIES, msgspec.structs.replace(FIRST, id="n7"), 0.0)


def test_a_dry_run_says_what_goes_comes_back_and_changes() -> None:
    now = {keys.SERVICES + "new": b"1", keys.INSTANCES + "new/web-0": b"1", keys.USERS + "ann": b"2", keys.LEADER: b"x"}
    then = {keys.SERVICES + "old": b"1", keys.USERS + "ann": b"1", keys.INSTANCE_STATUS + "old/web-0": b"1"}
    assert list(changes(now, then)) == [
        Change("service", "new", "goes"),
        Change("service", "old", "comes back"),
        Change("instance", "new/web-0", "goes"),
        Change("user", "ann", "changes"),
    ]


def test_a_restore_of_what_is_there_changes_nothing() -> None:
    assert list(changes(ENTRIES, ENTRIES)) == []
