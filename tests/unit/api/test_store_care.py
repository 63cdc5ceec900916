"""What people are told and may do while the store has little room."""

from collections.abc import Iterator

import pytest

from appliance.errors import StoreUnavailable
from appliance.model.store_state import MemberState
from tests.unit.api.cluster_in_memory import MAINTENANCE_QUOTA, InMemory, in_memory

SHOP = "shop web 1 appliance/busybox:0.1.0"


@pytest.fixture
def cluster() -> Iterator[InMemory]:
    with in_memory() as made:
        yield made


def fill(cluster: InMemory, part: float) -> None:
    """Let the next look find so much of the quota in use."""
    used = int(part * MAINTENANCE_QUOTA)
    cluster.maintenance.members[1] = MemberState(1, "n1", well=True, leads=True, size=used, in_use=used)
    cluster.context.caretaker.cycle()


def test_the_status_tells_how_full_the_store_is(cluster: InMemory) -> None:
    fill(cluster, 0.5)
    seen = cluster.ask("GET", "/api/status")["store"]
    assert seen == {"size": 2**29, "in_use": 2**29, "quota": 2**30, "complaints": []}


def test_nothing_new_is_taken_by_an_almost_full_store_but_what_is_there_can_be_deleted(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    fill(cluster, 0.9)
    with pytest.raises(StoreUnavailable, match="almost full"):
        cluster.apply("other web 1 appliance/busybox:0.1.0")
    (complaint,) = cluster.ask("GET", "/api/status")["store"]["complaints"]
    assert "delete" in complaint["next"]
    cluster.ask("DELETE", "/api/services/shop")
    assert cluster.head("shop").deleted
    fill(cluster, 0.5)
    cluster.apply("other web 1 appliance/busybox:0.1.0")
