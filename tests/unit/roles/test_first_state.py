"""A new cluster's store is filled once, and never again; the key of its secrets is made once, and never replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.delivery import node_files
from appliance.errors import LocalStateDamaged, StoreUnavailable
from appliance.host.layout import Layout
from appliance.model.cluster import Cluster, User
from appliance.model.identity import FirstState
from appliance.model.node import NodeSpec
from appliance.roles.first_state import fill_if_empty, open_seal
from appliance.store import keys
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Put
from tests.unit.link.cluster_in_memory import MeddledStore

NOW = "2026-01-01T00:00:00Z"
FIRST = FirstState(
    cluster=Cluster(id="c-1", name="lab", url="u", network="10.99.0.0/16", ca_fingerprint="0" * 64, created_at=NOW),
    admin=User(name="admin", password="scrypt$", created_at=NOW),
    node=NodeSpec(id="n-1", name="one", number=1, address="10.0.0.1", roles=("manager", "agent")),
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    node_files.write_first_state(layout, FIRST)
    return layout


@pytest.fixture
def store() -> Iterator[MeddledStore]:
    store = MeddledStore(lambda: 0.0)
    yield store
    store.close()


def values(store: MemoryStore) -> dict[str, bytes]:
    return {entry.key: entry.value for entry in store.list(keys.ROOT).entries}


def test_an_empty_store_is_filled_and_the_record_goes(layout: Layout, store: MeddledStore) -> None:
    fill_if_empty(store, layout)
    mirror = Mirror(store, keys.ROOT)
    mirror.start()
    state = State(mirror)
    assert state.cluster() == FIRST.cluster
    assert state.users.all() == {"admin": FIRST.admin}
    assert state.nodes.all() == {"n-1": FIRST.node}
    assert f"{keys.NUMBERS}1" in values(store)
    mirror.stop()
    assert not layout.cluster_file.exists()


def test_a_second_start_writes_nothing(layout: Layout, store: MeddledStore) -> None:
    fill_if_empty(store, layout)
    before = store.list(keys.ROOT)
    fill_if_empty(store, layout)
    assert store.list(keys.ROOT) == before


def test_a_kill_between_filling_and_forgetting_the_record_does_no_harm(layout: Layout, store: MeddledStore) -> None:
    fill_if_empty(store, layout)
    store.commit([Put(f"{keys.NODES}n-2", b"{}")])
    before = store.list(keys.ROOT)
    node_files.write_first_state(layout, FIRST)
    fill_if_empty(store, layout)
    assert store.list(keys.ROOT) == before
    assert not layout.cluster_file.exists()


def test_a_store_that_lost_everything_is_not_filled_again(layout: Layout, store: MeddledStore) -> None:
    fill_if_empty(store, layout)
    lost = MemoryStore(lambda: 0.0)
    with pytest.raises(LocalStateDamaged) as damaged:
        fill_if_empty(lost, layout)
    assert "backup" in damaged.value.next
    assert values(lost) == {}


def test_a_damaged_record_fills_nothing(layout: Layout, store: MeddledStore) -> None:
    layout.cluster_file.write_bytes(layout.cluster_file.read_bytes()[:-20])
    with pytest.raises(LocalStateDamaged):
        fill_if_empty(store, layout)
    assert values(store) == {}


def test_the_record_outlives_a_store_that_does_not_answer(layout: Layout, store: MeddledStore) -> None:
    def away() -> None:
        raise StoreUnavailable("The store does not answer.")

    store.before = away
    with pytest.raises(StoreUnavailable):
        fill_if_empty(store, layout)
    fill_if_empty(store, layout)
    assert keys.CLUSTER in values(store)


def test_the_first_manager_makes_the_key_and_keeps_it(tmp_path: Path) -> None:
    store, layout = MemoryStore(lambda: 0.0), Layout(tmp_path)
    sealed = open_seal(store, layout).seal(b"sesame", "shop/key@1")
    assert open_seal(store, layout).unseal(sealed, "shop/key@1") == b"sesame"


def test_with_secrets_in_the_store_a_missing_key_is_never_replaced(tmp_path: Path) -> None:
    store, layout = MemoryStore(lambda: 0.0), Layout(tmp_path)
    store.commit([Put(keys.SECRETS + keys.secret_name("shop", "key", 1), b"{}")])
    with pytest.raises(LocalStateDamaged):
        open_seal(store, layout)
    assert not layout.seal_key.exists()
