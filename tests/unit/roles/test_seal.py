"""The key that secrets are sealed with: made once, never silently replaced."""

from pathlib import Path

import pytest

from appliance.errors import LocalStateDamaged
from appliance.host.layout import Layout
from appliance.roles.manager import open_seal
from appliance.store import keys
from appliance.store.memory import MemoryStore
from appliance.store.store import Put


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
