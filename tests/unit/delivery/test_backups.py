"""A manager makes backups by the plan, keeps so many, and has them rehearsed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.delivery import backups as module
from appliance.delivery.backup_file import read_backup
from appliance.delivery.backups import TRY_AGAIN, Backups, Rehearsal, lasting
from appliance.model.backup import BackupPlan, BackupStatus
from appliance.model.moment import text_of_seconds
from appliance.security.recovery_key import recovery_secret
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.lab.waiting import eventually
from tests.unit.api.cluster_in_memory import InMemory, in_memory, manager_layout
from tests.unit.first_manager import FIRST

DAY = 86_400.0


class World:
    """A manager whose clocks a test sets."""

    def __init__(self, cluster: InMemory, folder: Path) -> None:
        self.cluster = cluster
        self.now = 1_800_000_000.0
        self.steady = 0.0
        self.rehearsed: list[str] = []
        self.outcome = Rehearsal("restorable at last")
        self.may_end = threading.Event()
        self.may_end.set()
        self.layout = manager_layout(folder)
        store, state = cluster.context.store, cluster.state
        self.backups = Backups(state, store, self.layout, FIRST, self.rehearse, lambda: self.now, lambda: self.steady)

    def rehearse(self, path: Path) -> Rehearsal:
        self.rehearsed.append(path.name)
        self.may_end.wait(60)
        return self.outcome

    def plan(self, plan: BackupPlan) -> None:
        self.cluster.write(Put(keys.BACKUP_PLAN, encode(plan)))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.steady += seconds
        self.backups.cycle()

    @property
    def count(self) -> int:
        return len(self.backups.rows())

    @property
    def status(self) -> BackupStatus:
        return self.cluster.state.backup_status.all()[FIRST.id]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with in_memory() as cluster:
        yield World(cluster, tmp_path)


def test_the_first_one_is_made_at_once_and_the_next_a_day_later(world: World) -> None:
    world.pass_time(0)
    assert world.count == 1
    world.pass_time(DAY - 1)
    assert world.count == 1
    world.pass_time(2)
    assert world.count == 2


def test_a_restart_makes_no_other_one(world: World) -> None:
    world.pass_time(0)
    world.backups = Backups(
        world.cluster.state, world.cluster.context.store, world.layout, FIRST, world.rehearse, lambda: world.now
    )
    world.pass_time(60)
    assert world.count == 1


def test_a_clock_that_was_ahead_does_not_keep_the_next_one_away(world: World) -> None:
    world.pass_time(0)
    world.pass_time(-365 * DAY)
    assert world.count == 2


@pytest.mark.parametrize("jump", [370 * DAY, -370 * DAY])
def test_a_clock_that_jumps_and_is_set_right_again_costs_no_more_than_one_of_those_kept(
    world: World, jump: float
) -> None:
    world.plan(BackupPlan(every=3600, keep=4))
    for _ in range(4):
        world.pass_time(3601)
    before = {row["name"] for row in world.backups.rows()}
    for step in (jump, -jump, jump, -jump):
        world.now += step
        for _ in range(3):
            world.pass_time(TRY_AGAIN)
    assert len(before & {row["name"] for row in world.backups.rows()}) >= 3
    for _ in range(4):
        world.pass_time(3601)
    made = [row["made_at"] for row in world.backups.rows()]
    assert min(made) >= text_of_seconds(world.now - 4 * 3601)
    assert max(made) <= text_of_seconds(world.now)


def test_no_more_are_kept_than_the_plan_says(world: World) -> None:
    world.plan(BackupPlan(every=3600, keep=2))
    for _ in range(5):
        world.pass_time(3601)
    assert world.count == 2


def test_what_a_person_makes_neither_counts_nor_goes(world: World) -> None:
    world.plan(BackupPlan(every=3600, keep=1))
    path = world.backups.make("hand")
    for _ in range(3):
        world.pass_time(3601)
    assert path.exists()
    assert world.count == 2


def test_never_means_never(world: World) -> None:
    world.plan(BackupPlan(every=0))
    world.pass_time(30 * DAY)
    assert world.count == 0


def test_each_one_is_put_into_the_other_folder_too(world: World, tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    world.plan(BackupPlan(every=3600, keep=2, folder=str(tmp_path / "usb")))
    for _ in range(4):
        world.pass_time(3601)
    assert sorted(p.name for p in (tmp_path / "usb").iterdir()) == sorted(row["name"] for row in world.backups.rows())


def test_a_folder_that_is_not_mounted_is_a_trouble_that_is_told(world: World, tmp_path: Path) -> None:
    world.plan(BackupPlan(folder=str(tmp_path / "usb")))
    world.pass_time(0)
    assert "not there" in world.status.trouble
    assert world.count == 1
    assert not (tmp_path / "usb").exists()
    assert "no backup was made" in world.cluster.context.events.newest(1)[0].message


def test_a_trouble_that_is_over_is_forgotten(world: World, tmp_path: Path) -> None:
    world.plan(BackupPlan(every=3600, folder=str(tmp_path / "usb")))
    world.pass_time(0)
    (tmp_path / "usb").mkdir()
    world.pass_time(3601)
    assert world.status.trouble == ""


def test_nothing_is_rehearsed_right_after_a_start(world: World) -> None:
    world.pass_time(module.FIRST_REHEARSAL - 1)
    assert world.rehearsed == []
    world.pass_time(2)
    assert len(world.rehearsed) == 1
    assert world.status.rehearsed == "restorable at last"


def test_a_manager_that_ends_does_not_wait_for_a_rehearsal(world: World) -> None:
    world.steady = module.FIRST_REHEARSAL
    world.may_end.clear()
    world.backups.start()
    eventually(lambda: world.rehearsed, 30)
    with ThreadPoolExecutor(1) as threads:
        try:
            threads.submit(world.backups.stop).result(timeout=10)
        finally:
            world.may_end.set()


def test_the_newest_is_rehearsed_every_week(world: World) -> None:
    for _ in range(15):
        world.pass_time(DAY)
    names = [row["name"] for row in world.backups.rows()]
    assert len(world.rehearsed) == 3
    assert world.rehearsed[-1] in names[-2:]


def test_a_rehearsal_that_fails_is_a_warning(world: World) -> None:
    world.outcome = Rehearsal("", "it is damaged")
    world.pass_time(DAY)
    newest = world.cluster.context.events.newest(1)[0]
    assert (newest.level, newest.kind) == ("warning", "backup")
    assert "it is damaged" in newest.message
    assert world.status.rehearsal_trouble == "it is damaged"


def test_it_holds_the_store_the_keys_and_the_identity(world: World) -> None:
    path = world.backups.make("hand")
    backup = read_backup(path, recovery_secret(world.layout.seal_key.read_bytes()))
    assert backup.entries == lasting(world.cluster.context.store.list(keys.ROOT))
    assert keys.CLUSTER in backup.entries
    assert set(backup.files) == {"pki/seal.key", "node.json"}


def test_who_leads_lives_and_is_logged_in_is_not_in_it(world: World) -> None:
    world.cluster.write(*(Put(key, b"n1") for key in (keys.LEADER, keys.ALIVE + "n1", keys.SESSIONS + "x")))
    backup = read_backup(world.backups.make("hand"), recovery_secret(world.layout.seal_key.read_bytes()))
    assert not any(key.startswith(keys.LEASED) for key in backup.entries)
