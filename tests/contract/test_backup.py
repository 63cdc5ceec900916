"""A backup of a real etcd: one moment of a store that changes, and the same store again from it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.delivery.backup_file import read_backup
from appliance.delivery.refill import refill
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Put
from tests.lab.etcd import EtcdProcess
from tests.unit.roles.restorable import Restorable

OBJECTS = 2000


@pytest.fixture
def two_etcds(tmp_path: Path) -> Iterator[tuple[EtcdStore, EtcdStore]]:
    processes, stores = [], []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        process = EtcdProcess(tmp_path / name)
        process.start()
        processes.append(process)
        stores.append(EtcdStore(EtcdChannels([process.endpoint])))
    yield stores[0], stores[1]
    for store in stores:
        store.close()
    for process in processes:
        process.kill()


@pytest.fixture
def manager(tmp_path: Path, two_etcds: tuple[EtcdStore, EtcdStore]) -> Iterator[Restorable]:
    """Its store is the first etcd."""
    made = Restorable(tmp_path / "manager", two_etcds[0])
    yield made
    made.mirror.stop()


def test_2000_objects_come_back_as_they_were(manager: Restorable, two_etcds: tuple[EtcdStore, EtcdStore]) -> None:
    for n in range(OBJECTS):
        manager.store.commit([Put(f"{keys.ROUTERS}{n:05d}", b"\x00\xff%d" % n * (n % 90))])
    backup = read_backup(manager.make(), manager.secret)
    refill(two_etcds[1], backup.entries)
    first, second = ({e.key: e.value for e in store.list(keys.ROOT).entries} for store in two_etcds)
    assert len(first) > OBJECTS
    assert first == second


def test_it_is_one_moment_while_others_write(manager: Restorable, two_etcds: tuple[EtcdStore, EtcdStore]) -> None:
    """Two keys far apart are always written together, so that they are equal at any one moment."""
    first, last = keys.AUTOSCALE + "a", keys.VIRTUAL + "z"
    filler = [Put(f"{keys.ROUTERS}{n:05d}", b"x" * 200) for n in range(OBJECTS)]
    for start in range(0, OBJECTS, 100):
        manager.store.commit(filler[start : start + 100])
    done = threading.Event()

    def write() -> None:
        count = 0
        while not done.is_set():
            count += 1
            two_etcds[0].commit([Put(first, encode(count)), Put(last, encode(count))])

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        pairs = [
            (backup.entries.get(first), backup.entries.get(last))
            for backup in (read_backup(manager.make(), manager.secret) for _ in range(15))
        ]
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert all(one == other for one, other in pairs)
    assert len(set(pairs)) > 1


def test_a_manager_reads_what_came_back(manager: Restorable, two_etcds: tuple[EtcdStore, EtcdStore]) -> None:
    backup = manager.backup()
    refill(two_etcds[1], backup.entries)
    mirror = Mirror(two_etcds[1], keys.ROOT)
    mirror.start()
    state = State(mirror)
    assert state.cluster() == manager.state.cluster()
    assert state.users.all() == manager.state.users.all()
    mirror.stop()
