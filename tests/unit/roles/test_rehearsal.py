"""What keeps a backup from being restored is found before anything is touched."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from appliance.errors import ApplianceError
from appliance.roles.rehearsal import look_through, sentence
from appliance.security.ca import make_ca
from appliance.security.sealing import Seal
from appliance.security.ssh import make_ssh_key
from appliance.store import keys
from tests.unit.roles.restorable import Restorable


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Restorable]:
    made = Restorable(tmp_path)
    yield made
    made.mirror.stop()


def test_a_good_one_is_counted(made: Restorable) -> None:
    backup = made.backup()
    counts = look_through(backup)
    assert (counts.nodes, counts.users, counts.secrets, counts.services) == (1, 1, 1, 0)
    assert counts.objects == len(backup.entries)
    assert sentence(backup, counts).startswith(f"restorable at {backup.header.made_at}: ")


@pytest.mark.parametrize("key", [keys.SERVICES + "shop", keys.NODES + "n9", keys.BACKUP_PLAN, keys.CLUSTER])
def test_a_value_that_no_manager_can_read_is_found(made: Restorable, key: str) -> None:
    made.put(key, 7)
    with pytest.raises(ApplianceError, match=key):
        look_through(made.backup())


def test_a_secret_that_its_key_does_not_open_is_found(made: Restorable) -> None:
    made.set_secret(Seal(bytes(32)))
    with pytest.raises(ApplianceError, match="shop/word"):
        look_through(made.backup())


@pytest.mark.parametrize("name", ["ca.key", "ca.crt", "ssh-ca", "ssh-ca.pub", "seal.key"])
def test_a_key_that_is_missing_is_found(made: Restorable, name: str) -> None:
    backup = made.backup()
    files = {path: kept for path, kept in backup.files.items() if path != f"pki/{name}"}
    with pytest.raises(ApplianceError, match="cannot be restored"):
        look_through(replace(backup, files=files))


def test_authorities_that_are_no_pairs_are_found(made: Restorable) -> None:
    backup = made.backup()
    for name, data in (("pki/ca.key", make_ca("other", 0.0).key), ("pki/ssh-ca", make_ssh_key()[0].encode())):
        files = {**backup.files, name: msgspec.structs.replace(backup.files[name], data=data)}
        with pytest.raises(ApplianceError, match="cannot be restored"):
            look_through(replace(backup, files=files))
