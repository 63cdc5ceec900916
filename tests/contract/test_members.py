"""Members of etcd: what both the one in memory and real processes keep to, and how a store lives with several."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from appliance.errors import Refused, StoreUnavailable, Unavailable
from appliance.orchestrator.managers import Seen, loss
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import ATTEMPT_SECONDS, EtcdChannels
from appliance.store.etcd_members import EtcdMembership
from appliance.store.membership import Member, Membership
from appliance.store.memory_members import MemoryMembership
from appliance.store.store import Delete, Entry, Expect, Put
from tests.lab.etcd import EtcdProcess
from tests.lab.waiting import eventually


class World(Protocol):
    """One member, ``a``, is there. `url` of a name is where it is reached by others."""

    @property
    def members(self) -> Membership: ...

    def url(self, name: str) -> str: ...

    def start(self, name: str) -> None:
        """Its process, as a member that was added."""
        ...

    def stop(self, name: str) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.members = MemoryMembership("a", self.url("a"))

    def url(self, name: str) -> str:
        return f"https://{name}:2380"

    def start(self, name: str) -> None:
        self.members.start(name, self.url(name))

    def stop(self, name: str) -> None:
        self.members.stop(name)


class Processes:
    """Real ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: dict[str, EtcdProcess] = {}
        self._make("a").start()
        self.channels = EtcdChannels([self.all["a"].endpoint])
        self.members = EtcdMembership(self.channels)

    def _make(self, name: str) -> EtcdProcess:
        if name not in self.all:
            (self._folder / name).mkdir()
            self.all[name] = EtcdProcess(self._folder / name, name)
        return self.all[name]

    def url(self, name: str) -> str:
        return self._make(name).peer_url

    def start(self, name: str) -> None:
        known = [self._of(member.peer_url) for member in self.members.list() if member.peer_url != self.url(name)]
        self.all[name].join(*known)
        eventually(lambda: name in names(self.members), timeout=20)

    def stop(self, name: str) -> None:
        self.all[name].kill()

    def _of(self, url: str) -> EtcdProcess:
        return next(process for process in self.all.values() if process.peer_url == url)

    def close(self) -> None:
        self.channels.close()
        for process in self.all.values():
            if process.running:
                process.kill()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    if not shutil.which("etcd"):
        pytest.skip("needs etcd (etcd-server)")
    made = Processes(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["memory", "etcd"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return InMemory()
    made: Processes = request.getfixturevalue("processes")
    return made


def names(members: Membership) -> dict[str, Member]:
    return {member.name: member for member in members.list()}


def add(world: World, name: str) -> None:
    """All steps of one more voter."""

    def added() -> Member | None:
        with suppress(Unavailable):  # a member that has just got its vote counts as doubtful for some seconds
            return world.members.add_learner(world.url(name))
        return None

    def promoted(learner: Member) -> bool:
        with suppress(Unavailable):
            world.members.promote(learner.id)
            return True
        return False

    learner = eventually(added, timeout=20)
    assert learner
    world.start(name)
    eventually(lambda: promoted(learner), timeout=20)


def test_a_new_member_is_a_learner_without_a_name_until_it_starts(world: World) -> None:
    added = world.members.add_learner(world.url("b"))
    assert (added.name, added.client_url, added.learner) == ("", "", True)
    assert sorted(member.learner for member in world.members.list()) == [False, True]
    world.start("b")
    assert names(world.members)["b"].id == added.id
    assert names(world.members)["b"].client_url


def test_only_what_has_caught_up_gets_a_vote(world: World) -> None:
    added = world.members.add_learner(world.url("b"))
    with pytest.raises(Unavailable):
        world.members.promote(added.id)
    world.start("b")
    eventually(lambda: not world.members.troubles(world.members.list()), timeout=20)
    assert names(world.members)["b"].learner


def test_three_voters_and_one_of_them_removed(world: World) -> None:
    add(world, "b")
    add(world, "c")
    assert [member.learner for member in world.members.list()] == [False] * 3
    eventually(lambda: _removed(world, names(world.members)["c"]), timeout=20)
    assert set(names(world.members)) == {"a", "b"}
    world.members.remove(12345)  # nobody


def _removed(world: World, member: Member) -> bool:
    with suppress(Unavailable):
        world.members.remove(member.id)
        return True
    return False


def test_there_is_one_learner_at_a_time_and_one_of_each_address(world: World) -> None:
    world.members.add_learner(world.url("b"))
    with pytest.raises(Refused):
        world.members.add_learner(world.url("b"))
    with pytest.raises(Refused):
        world.members.add_learner(world.url("c"))


def test_a_learner_goes_at_any_time(world: World) -> None:
    world.members.remove(world.members.add_learner(world.url("b")).id)
    assert set(names(world.members)) == {"a"}


def test_who_does_not_serve_is_named_with_a_reason(world: World) -> None:
    add(world, "b")
    add(world, "c")
    eventually(lambda: not world.members.troubles(world.members.list()), timeout=20)
    world.stop("c")
    down = names(world.members)["c"].id

    def named() -> bool:
        return world.members.troubles(world.members.list()).keys() == {down}

    eventually(named, timeout=20)


def test_without_a_majority_nothing_changes(world: World) -> None:
    add(world, "b")
    world.stop("b")
    with pytest.raises(StoreUnavailable):
        world.members.add_learner(world.url("c"))


def test_etcd_refuses_what_our_own_rule_refuses(processes: Processes) -> None:
    add(processes, "b")
    add(processes, "c")
    processes.stop("c")
    eventually(lambda: len(processes.members.troubles(processes.members.list())) == 1, timeout=20)
    found = names(processes.members)
    seen = Seen(tuple(found.values()), processes.members.troubles(found.values()))
    assert loss(seen, found["b"]) and loss(seen, found["a"]) and not loss(seen, found["c"])
    with pytest.raises((Refused, StoreUnavailable)):
        processes.members.remove(found["b"].id)
    eventually(lambda: _removed(processes, found["c"]), timeout=20)


def test_a_store_goes_on_through_another_member_and_comes_back_to_its_own(processes: Processes) -> None:
    add(processes, "b")
    add(processes, "c")
    channels = EtcdChannels([processes.all[name].endpoint for name in "bac"])
    store = EtcdStore(channels)
    try:
        revision = store.commit([Put("/x", b"1")])
        watch = iter(store.watch("/", revision))
        processes.stop("b")
        assert eventually(lambda: _put(store, b"2"), timeout=10)
        assert [item.value for item in next(watch).items if isinstance(item, Entry)] == [b"2"]
        processes.all["b"].join(processes.all["a"], processes.all["c"])
        own = processes.all["b"].endpoint

        def back() -> bool:
            return channels.candidates()[0].endpoint == own

        eventually(back, timeout=20)
        store.commit([Delete("/x")])
    finally:
        store.close()


def test_a_write_under_way_when_the_leader_of_etcd_hangs_is_done_once_another_leads(processes: Processes) -> None:
    add(processes, "b")
    add(processes, "c")
    store = EtcdStore(EtcdChannels([processes.all[name].endpoint for name in "bca"]))
    try:
        first = store.commit([Put("/x", b"0")])
        processes.all["a"].freeze()  # it has led from the beginning
        assert store.commit([Put("/x", b"1")], [Expect("/x", first)]) > first
        entry = store.get("/x")
        assert entry is not None and entry.value == b"1"
    finally:
        processes.all["a"].thaw()
        store.close()


def test_a_write_that_was_done_although_no_answer_came_is_no_conflict(etcd: EtcdProcess) -> None:
    store = EtcdStore(EtcdChannels([etcd.endpoint]))
    try:
        for number in range(3):
            known = store.commit([Put("/x", b"0"), Put("/y", b"0")])
            etcd.freeze()
            thaw = threading.Timer(ATTEMPT_SECONDS * 1.2, etcd.thaw)
            thaw.start()
            value = str(number).encode()
            revision = store.commit([Put("/x", value), Delete("/y")], [Expect("/x", known)])
            assert store.get("/x") == Entry("/x", value, revision)
            assert store.get("/y") is None
            thaw.join()
    finally:
        store.close()


def _put(store: EtcdStore, value: bytes) -> int:
    with suppress(StoreUnavailable):
        return store.commit([Put("/x", value)])
    return 0


def test_a_store_whose_own_member_is_a_learner_asks_another(processes: Processes) -> None:
    processes.members.add_learner(processes.url("b"))
    processes.start("b")
    store = EtcdStore(EtcdChannels([processes.all[name].endpoint for name in "ba"]))
    try:
        assert store.get("/x") is None
        assert store.commit([Put("/x", b"1")])
    finally:
        store.close()


def test_a_member_without_data_that_is_not_told_whom_to_join_does_not_start(processes: Processes) -> None:
    processes.stop("a")
    processes.all["a"].lose_data()
    processes.all["a"].join()
    eventually(lambda: not processes.all["a"].running, timeout=30)


def test_etcd_takes_a_members_new_address_and_starts_with_it_again(etcd: EtcdProcess) -> None:
    channels = EtcdChannels([etcd.endpoint])
    store, members = EtcdStore(channels), EtcdMembership(channels)
    try:
        for _ in range(2):
            members.set_peer_url(members.list()[0].id, "http://127.0.0.2:2380")
        revision = store.commit([Put("/a", b"1")])
        etcd.restart()
        assert eventually(lambda: _value(store, "/a"), 30) == (b"1", revision)
    finally:
        store.close()


def _value(store: EtcdStore, key: str) -> tuple[bytes, int] | None:
    with suppress(StoreUnavailable):
        entry = store.get(key)
        return (entry.value, entry.revision) if entry else None
    return None
