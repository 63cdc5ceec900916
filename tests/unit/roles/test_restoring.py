"""Whom a host becomes by a restore, and how the store is filled."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.delivery import node_files, pki
from appliance.delivery.backup_folder import copy_to
from appliance.errors import Refused, StoreUnavailable
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.model.cluster import Cluster
from appliance.roles.first_state import fill_if_empty
from appliance.roles.restoring import (
    identity_of_restored,
    refuse_foreign_address,
    refuse_living_managers,
    refuse_other_authorities,
)
from appliance.store import keys
from appliance.store.codec import decode
from appliance.store.memory import MemoryStore
from tests.unit.first_manager import FIRST
from tests.unit.roles.restorable import Restorable


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Restorable]:
    made = Restorable(tmp_path / "old")
    yield made
    made.mirror.stop()


def test_a_fresh_host_becomes_the_manager_that_made_it(made: Restorable, tmp_path: Path) -> None:
    found = identity_of_restored(Layout(tmp_path / "new"), made.backup(), "")
    assert found == FIRST


def test_a_fresh_host_may_have_another_address(made: Restorable, tmp_path: Path) -> None:
    found = identity_of_restored(Layout(tmp_path / "new"), made.backup(), "10.0.0.9", "/run/docker.sock")
    assert (found.address, found.managers, found.engine) == ("10.0.0.9", ("10.0.0.9:8444",), "/run/docker.sock")
    assert found.id == FIRST.id


def test_the_same_manager_keeps_the_address_that_it_has_now(made: Restorable) -> None:
    backup = made.backup()
    node_files.write_identity(made.layout, msgspec.structs.replace(FIRST, address="10.0.0.5"))
    assert identity_of_restored(made.layout, backup, "").address == "10.0.0.5"


@pytest.mark.parametrize("other", [{"id": "n2"}, {"cluster_id": "c2"}])
def test_another_node_is_refused(made: Restorable, tmp_path: Path, other: dict[str, str]) -> None:
    layout = Layout(tmp_path / "other")
    node_files.write_identity(layout, msgspec.structs.replace(FIRST, **other))
    with pytest.raises(Refused, match="This host is the node"):
        identity_of_restored(layout, made.backup(), "")


def test_an_address_that_the_host_does_not_have_is_refused() -> None:
    with pytest.raises(Refused, match="does not have the address"):
        refuse_foreign_address(msgspec.structs.replace(FIRST, address="203.0.113.9"))


def test_a_backup_with_the_authorities_of_now_is_no_trap(made: Restorable) -> None:
    refuse_other_authorities(made.layout, made.backup())


def test_a_backup_from_before_new_authorities_is_refused_where_they_are(made: Restorable) -> None:
    backup = made.backup()
    pki.make_cluster_keys(made.layout, "test", FIRST.id, FIRST.address, 1_800_000_000.0)
    with pytest.raises(Refused, match="no node would let the manager in") as refused:
        refuse_other_authorities(made.layout, backup)
    assert backup.header.made_at in refused.value.why


def test_a_backup_from_before_new_authorities_fits_while_the_old_ones_are_still_believed(made: Restorable) -> None:
    backup, file = made.backup(), made.layout.pki / "ssh-ca.pub"
    old = file.read_text()
    pki.make_cluster_keys(made.layout, "test", FIRST.id, FIRST.address, 1_800_000_000.0)
    write_atomic(file, file.read_text() + old)
    refuse_other_authorities(made.layout, backup)


def test_a_fresh_host_knows_of_no_other_authorities(made: Restorable, tmp_path: Path) -> None:
    refuse_other_authorities(Layout(tmp_path / "new"), made.backup())


def test_managers_that_do_not_answer_are_no_reason_to_wait(made: Restorable) -> None:
    backup = made.backup()
    refuse_living_managers(backup, msgspec.structs.replace(FIRST, address="127.0.0.9"))


class Killed(MemoryStore):
    left = 0

    def commit(self, *arguments: object) -> int:
        if self.left <= 0:
            raise StoreUnavailable("Killed.")
        self.left -= 1
        return super().commit(*arguments)  # type: ignore[arg-type]


def test_an_empty_store_is_filled_from_the_backup_once(made: Restorable) -> None:
    backup = made.backup()
    copy_to(made.make(), made.layout.restored_file)
    store = Killed(lambda: 0.0)
    with pytest.raises(StoreUnavailable):
        fill_if_empty(store, made.layout)
    assert made.layout.restored_file.exists()
    store.left = 100
    fill_if_empty(store, made.layout)
    assert not made.layout.restored_file.exists()
    found = {entry.key: entry.value for entry in store.list(keys.ROOT).entries}
    assert {key for key in found if found[key] != backup.entries.get(key)} == {keys.CLUSTER}
    cluster = decode(found[keys.CLUSTER], Cluster, where="")
    assert cluster.held
    assert cluster.incarnation > 0


def test_a_store_that_is_not_empty_is_left_alone(made: Restorable) -> None:
    before = made.store.list(keys.ROOT)
    write_atomic(made.layout.restored_file, b"whatever")
    fill_if_empty(made.store, made.layout)
    assert made.store.list(keys.ROOT) == before
    assert not made.layout.restored_file.exists()
