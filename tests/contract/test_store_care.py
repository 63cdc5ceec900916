"""Looking after a real etcd: a tiny quota that fills up, worn files, and what the members say of themselves."""

import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, StoreUnavailable
from appliance.store import keys
from appliance.store.caretaker import Caretaker
from appliance.store.disk import EtcdDisk
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.maintenance import EtcdMaintenance
from appliance.store.store import Delete, Expect, Put
from tests.lab.etcd import EtcdProcess
from tests.lab.waiting import eventually

MIB = 2**20
QUOTA = 16 * MIB

pytestmark = pytest.mark.skipif(not shutil.which("etcd"), reason="etcd-server is not installed")


class World:
    def __init__(self, etcd: EtcdProcess, folder: Path, maintenance: EtcdMaintenance | None = None) -> None:
        channels = EtcdChannels([etcd.endpoint])
        self.store = EtcdStore(channels)
        self.maintenance = maintenance or EtcdMaintenance(channels)
        port = int(etcd.endpoint.rpartition(":")[2])
        self.said: list[str] = []
        self.numbers = itertools.count()
        self.disk = EtcdDisk(folder, port)
        leading = Expect(keys.LEADER, self.store.commit([Put(keys.LEADER, b"n1")]))
        self.caretaker = Caretaker(
            self.store, self.maintenance, self.disk, QUOTA, lambda: leading, lambda text, warns: self.said.append(text)
        )

    def fill(self, *, same: bool) -> ApplianceError:
        """Write, one key again and again or one after the other, until it is refused."""
        for _ in range(200):
            try:
                self.store.commit([Put("/a" if same else f"/a/{next(self.numbers)}", bytes(MIB // 2))])
            except StoreUnavailable as error:
                return error
        raise AssertionError("etcd took everything")

    def is_well(self) -> bool:
        """After one more cycle."""
        self.caretaker.cycle()
        return not self.maintenance.look().alarms and not self.caretaker.full


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    etcd = EtcdProcess(tmp_path)
    etcd.start("--quota-backend-bytes", str(QUOTA))
    made = World(etcd, tmp_path)
    yield made
    made.store.close()
    etcd.kill()


def test_the_only_member_tells_its_size_and_that_it_leads(world: World) -> None:
    world.store.commit([Put("/a", bytes(MIB // 2))])
    eventually(lambda: world.maintenance.look().members[0].in_use > MIB // 2, timeout=5)
    (member,) = world.maintenance.look().members
    assert member.well and member.leads and MIB // 2 < member.in_use <= member.size < QUOTA
    assert world.maintenance.look().alarms == ()


def test_a_store_full_of_history_is_clear_about_it_and_recovers_by_itself(world: World) -> None:
    began = time.monotonic()
    error = world.fill(same=True)
    assert "full" in error.what and error.next
    refused_at = time.monotonic()
    with pytest.raises(StoreUnavailable):
        world.store.commit([Put("/b", b"more")])
    assert time.monotonic() - refused_at < 5 and refused_at - began < 60
    assert world.store.get("/a") is not None, "reading goes on"
    eventually(world.is_well, timeout=30)
    world.store.commit([Put("/b", b"more")])
    assert "full" in world.said[0] and world.said[-1].startswith("no longer")


def test_a_store_full_of_what_is_kept_takes_deletions_and_recovers_after_them(world: World) -> None:
    while not world.caretaker.full:  # what was refused may have been for free pages between the values
        world.fill(same=False)
        world.caretaker.cycle()
    assert world.caretaker.complaints[0].next
    half_of_the_quota = QUOTA // 2 // (MIB // 2)
    # etcd looks at its file's size only, which grows with each batch: it may have taken twice the quota.
    for entry in world.store.list("/a/").entries[half_of_the_quota:]:
        world.store.commit([Delete(entry.key)], [Expect(entry.key, entry.revision)])
    eventually(world.is_well, timeout=30)
    world.store.commit([Put("/b", b"more")])


def test_what_has_been_forgotten_may_be_forgotten_again(world: World) -> None:
    revision = world.store.commit([Put("/a", b"1")])
    world.maintenance.compact(revision)
    world.maintenance.compact(revision)


def test_etcd_tells_how_long_its_disk_takes(world: World) -> None:
    world.store.commit([Put("/a", b"1")])
    seen = world.disk.look()
    assert seen.buckets["wal_fsync"][float("inf")] >= 1 and seen.free > 0


def test_an_etcd_that_is_away_is_an_error_to_try_again_after(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        EtcdMaintenance(EtcdChannels([EtcdProcess(tmp_path).endpoint])).look()


class OneAtATime(EtcdMaintenance):
    """Notes which member was defragmented, and whether all others served right before and after."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(EtcdChannels([endpoint]))
        self.done: list[str] = []

    def well(self) -> list[bool]:
        try:
            return [each.well for each in self.look().members]
        except StoreUnavailable:
            return []

    def defragment(self, member: int) -> None:
        members = self.look().members
        assert all(each.well for each in members)
        super().defragment(member)
        self.done.append(next(each.name for each in members if each.id == member))


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[EtcdProcess]]:
    members = []
    for name in ("m1", "m2", "m3"):
        (tmp_path / name).mkdir()
        members.append(EtcdProcess(tmp_path / name, name))
    together = ",".join(f"{member.name}={member.peer_url}" for member in members)
    for member in members:
        member.launch("--quota-backend-bytes", str(QUOTA), "--initial-cluster", together)
    yield members
    for member in members:
        if member.running:
            member.kill()


def test_of_several_members_one_after_the_other_is_defragmented_and_none_while_one_is_away(
    three: list[EtcdProcess], tmp_path: Path
) -> None:
    maintenance = OneAtATime(three[0].endpoint)
    eventually(lambda: maintenance.well() == [True] * 3, timeout=30)
    world = World(three[0], tmp_path, maintenance)
    for number in range(16):
        revision = world.store.commit([Put("/a", bytes([number]) * (MIB // 2))])
    maintenance.compact(revision)

    def freed() -> bool:
        world.store.commit([Put("/b", b"1")])
        return all(each.in_use < 2 * MIB < each.size for each in maintenance.look().members)

    eventually(freed, timeout=10)
    three[2].freeze()
    eventually(lambda: maintenance.well() == [True, True, False], timeout=10)
    world.caretaker.cycle()
    assert maintenance.done == []
    three[2].thaw()
    eventually(lambda: maintenance.well() == [True] * 3, timeout=30)
    world.caretaker.cycle()
    leader = next(each.name for each in maintenance.look().members if each.leads)
    assert sorted(maintenance.done) == ["m1", "m2", "m3"] and maintenance.done[-1] == leader
    assert all(each.size < 2 * MIB for each in maintenance.look().members)
    world.store.close()
