"""A restored cluster by the API: what it waits for, and a person's word."""

import msgspec
import pytest

from appliance.api.call import Call
from appliance.errors import NotPermitted
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.unit.api.cluster_in_memory import InMemory


@pytest.fixture
def restored(cluster: InMemory) -> InMemory:
    before = cluster.state.cluster()
    assert before is not None
    cluster.write(Put(keys.CLUSTER, encode(msgspec.structs.replace(before, held=True))))
    return cluster


def test_a_cluster_that_was_not_restored_waits_for_nothing(cluster: InMemory) -> None:
    assert cluster.ask("GET", "/api/adoption") == {"held": False, "unheard": [], "differences": []}


def test_a_restored_one_says_what_it_waits_for(restored: InMemory) -> None:
    assert restored.ask("GET", "/api/adoption") == {"held": True, "unheard": ["one"], "differences": []}
    cluster = restored.ask("GET", "/api/status")["cluster"]
    assert (cluster["held"], cluster["state"]) == (True, "degraded")


def test_it_goes_on_by_an_administrators_word(restored: InMemory) -> None:
    route = next(route for route in restored.routes if (route.method, route.path) == ("POST", "/api/adoption"))
    with pytest.raises(NotPermitted):
        route.answer(Call(user="nobody"))
    restored.ask("POST", "/api/adoption")
    entry = restored.context.store.get(keys.CLUSTER)
    assert entry is not None
    assert b'"held":false' in entry.value
