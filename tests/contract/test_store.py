"""What every store keeps to: run on the one in memory and on a real etcd."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.errors import Conflict, Refused, StoreUnavailable, Unavailable
from appliance.model.cluster import ETCD_NAME
from appliance.security.ca import KeyPair, issue, make_ca, renew
from appliance.store.etcd import PAGE, EtcdStore
from appliance.store.etcd_channels import Credentials, EtcdChannels
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Alteration, Mirror
from appliance.store.store import (
    LARGEST_VALUE,
    MOST_OPERATIONS,
    Changes,
    Delete,
    Entry,
    Expect,
    Put,
    Store,
    Watch,
)
from tests.lab.etcd import EtcdProcess
from tests.lab.waiting import eventually


@pytest.fixture(params=["memory", "etcd"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore(time.monotonic)
    else:
        made = EtcdStore(EtcdChannels([request.getfixturevalue("etcd_endpoint")]))
    yield made
    made.close()


class Collector:
    """Collects what a watch says, in a thread, until closed."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.changes: list[Changes] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for changes in self.watch:
            self.changes.append(changes)

    def items(self) -> list[Entry | Delete]:
        return [item for changes in list(self.changes) for item in changes.items]

    def names(self) -> list[str]:
        return [item.key for item in self.items()]

    def close(self) -> None:
        self.watch.close()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the watch did not end when it was closed"


def test_what_was_put_is_read_with_the_revision_of_its_commit(store: Store) -> None:
    revision = store.commit([Put("/a/x", b"1")])
    assert store.get("/a/x") == Entry("/a/x", b"1", revision)
    assert store.get("/a") is None


def test_a_list_holds_the_prefix_only_in_key_order(store: Store) -> None:
    store.commit([Put(key, b"") for key in ("/a/2", "/a/10", "/b/1", "/a0")])
    assert [entry.key for entry in store.list("/a/").entries] == ["/a/10", "/a/2"]


def test_a_list_longer_than_a_page_is_whole(store: Store) -> None:
    keys = [f"/many/{n:05d}" for n in range(PAGE + 200)]
    for begin in range(0, len(keys), MOST_OPERATIONS):
        store.commit([Put(key, b"v") for key in keys[begin : begin + MOST_OPERATIONS]])
    assert [entry.key for entry in store.list("/many/").entries] == keys


def test_a_commit_whose_condition_fails_does_nothing_and_names_the_key(store: Store) -> None:
    revision = store.commit([Put("/a", b"1")])
    store.commit([Put("/b", b"2")], [Expect("/a", revision), Expect("/b", 0)])
    with pytest.raises(Conflict) as caught:
        store.commit([Put("/c", b"3"), Delete("/a")], [Expect("/a", revision), Expect("/b", 0)])
    assert caught.value.where == "/b"
    assert store.get("/c") is None
    assert store.get("/a") is not None


def test_all_writes_of_a_commit_share_one_revision(store: Store) -> None:
    revision = store.commit([Put("/a", b"1"), Put("/b", b"2")])
    assert {entry.revision for entry in store.list("/").entries} == {revision}


@pytest.mark.parametrize(
    "operations",
    [
        [Put("/x", b"x" * (LARGEST_VALUE + 1))],
        [Put(f"/{n}", b"x" * (LARGEST_VALUE // 2)) for n in range(3)],
        [Put(f"/{n}", b"") for n in range(MOST_OPERATIONS + 1)],
        [Put("/x", b"1"), Put("/x", b"2")],
    ],
    ids=["too large", "too large together", "too many", "a key twice"],
)
def test_what_is_over_the_limits_is_refused_whole(store: Store, operations: list[Put | Delete]) -> None:
    with pytest.raises(Refused):
        store.commit(operations)
    assert store.list("/").entries == ()


def test_a_watch_delivers_every_later_change_below_its_prefix_in_order(store: Store) -> None:
    store.commit([Put("/a/old", b"")])
    start = store.list("/a/").revision
    store.commit([Put("/a/1", b"one")])
    seen = Collector(store.watch("/a/", start))
    store.commit([Put("/b/1", b"")])
    store.commit([Put("/a/2", b""), Delete("/a/1")])
    last = store.commit([Put("/a/3", b"")])
    eventually(lambda: "/a/3" in seen.names(), timeout=30)
    assert seen.names()[0] == "/a/1"
    assert sorted(seen.names()[1:3]) == ["/a/1", "/a/2"]
    assert seen.names()[3:] == ["/a/3"]
    assert Delete("/a/1") in seen.items()
    assert seen.changes[-1].revision == last
    seen.close()


def test_keys_of_a_lease_vanish_when_it_is_not_renewed(store: Store) -> None:
    lease = store.grant(2)
    store.commit([Put("/leader", b"m1", lease)])
    assert store.renew(lease)
    assert store.get("/leader") is not None
    eventually(lambda: store.get("/leader") is None, timeout=30)
    assert not store.renew(lease)


def test_keys_of_a_revoked_lease_vanish_at_once(store: Store) -> None:
    lease = store.grant(60)
    store.commit([Put("/leader", b"m1", lease)])
    store.revoke(lease)
    assert store.get("/leader") is None
    store.revoke(lease)


def test_a_mirror_reads_its_own_writes_and_tells_subscribers(store: Store) -> None:
    store.commit([Put("/a/1", b"1"), Put("/z", b"")])
    mirror = Mirror(store, "/a/")
    mirror.start()
    told: list[str] = []
    end = mirror.subscribe("/a/x", lambda: told.append("x"))
    revision = store.commit([Put("/a/x1", b"2"), Delete("/a/1")])
    assert mirror.wait_for(revision, 10)
    assert [entry.key for entry in mirror.below("/a/")] == ["/a/x1"]
    assert mirror.get("/a/1") is None
    eventually(lambda: told == ["x"], timeout=30)
    end()
    assert mirror.wait_for(store.commit([Put("/a/x2", b"3")]), 10)
    mirror.stop()
    assert told == ["x"]


def test_a_mirror_tells_observers_what_each_key_was_and_is(store: Store) -> None:
    store.commit([Put("/a/1", b"1")])
    mirror = Mirror(store, "/a/")
    mirror.start()
    seen: list[Alteration] = []
    mirror.observe(seen.extend)
    store.commit([Put("/a/1", b"2"), Put("/a/2", b"3")])
    store.commit([Delete("/a/2")])
    eventually(lambda: len(seen) == 3, timeout=30)
    mirror.stop()
    told = [(each.key, each.old and each.old.value, each.new and each.new.value) for each in seen]
    assert sorted(told[:2]) == [("/a/1", b"1", b"2"), ("/a/2", None, b"3")]
    assert told[2] == ("/a/2", b"3", None)


def test_a_mirror_says_what_changed_since_a_revision_as_far_back_as_it_remembers() -> None:
    store = MemoryStore(time.monotonic)
    store.commit([Put("/a/1", b"")])
    mirror = Mirror(store, "/a/")
    mirror.start()
    listed = mirror.revision
    second = store.commit([Put("/a/2", b""), Put("/a/3", b"")])
    assert mirror.wait_for(store.commit([Delete("/a/3")]), 10)
    mirror.stop()
    assert mirror.changed_since(listed) == frozenset({"/a/2", "/a/3"})
    assert mirror.changed_since(second) == frozenset({"/a/3"})
    assert mirror.changed_since(mirror.revision) == frozenset()
    assert mirror.changed_since(listed - 1) is None


def test_a_watch_survives_sigkills_of_etcd_with_every_change_once(etcd: EtcdProcess) -> None:
    store = EtcdStore(EtcdChannels([etcd.endpoint]))
    seen = Collector(store.watch("/w/", store.list("/w/").revision))
    written = []
    for number in range(60):
        key = f"/w/{number:03d}"
        eventually(_puts(store, key), timeout=30)
        written.append(key)
        if number % 20 == 10:
            etcd.restart()
    eventually(lambda: written[-1] in seen.names(), timeout=30)
    # A put whose answer was lost is tried again, so a key may rightly change twice; no revision may come twice.
    revisions = [item.revision for item in seen.items() if isinstance(item, Entry)]
    assert revisions == sorted(set(revisions))
    assert list(dict.fromkeys(seen.names())) == written
    seen.close()
    store.close()


def test_a_mirror_hears_from_an_etcd_in_which_nothing_of_its_own_changes(etcd: EtcdProcess) -> None:
    etcd.kill()
    etcd.start("--experimental-watch-progress-notify-interval", "1s")  # as the sidecar's, only more often
    store = EtcdStore(EtcdChannels([etcd.endpoint]))
    mirror = Mirror(store, "/a/")
    mirror.start()
    began = mirror.heard
    last = store.commit([Put("/b/1", b"")])
    assert mirror.wait_for(last, 10) and mirror.heard > began
    mirror.stop()
    store.close()


def test_a_mirror_is_whole_again_after_compaction_took_what_it_missed() -> None:
    store = MemoryStore(time.monotonic)
    mirror = Mirror(store, "/a/")
    mirror.start()
    store.commit([Put("/a/1", b"")])
    store.compact()
    last = store.commit([Put("/a/2", b"")])
    assert mirror.wait_for(last, 10)
    assert [entry.key for entry in mirror.below("/a/")] == ["/a/1", "/a/2"]
    mirror.stop()


def test_a_mirror_goes_on_after_a_subscriber_failed() -> None:
    store = MemoryStore(time.monotonic)
    mirror = Mirror(store, "/a/")
    mirror.start()
    failed = threading.Event()

    def fail_once() -> None:
        if not failed.is_set():
            failed.set()
            raise ValueError("a mistake of the subscriber")

    mirror.subscribe("/a/", fail_once)
    store.commit([Put("/a/1", b"")])
    assert failed.wait(10)
    assert mirror.wait_for(store.commit([Put("/a/2", b"")]), 10)
    mirror.stop()


@pytest.fixture
def authority() -> KeyPair:
    return make_ca("lab", time.time())


@pytest.fixture
def tls_endpoint(tmp_path: Path, authority: KeyPair) -> Iterator[str]:
    """An etcd that speaks to holders of a client certificate of `authority` only. Its own is `cert` in `tmp_path`."""
    if not shutil.which("etcd"):
        pytest.skip("needs etcd (etcd-server)")
    member = issue(authority, "member", time.time(), names=(ETCD_NAME,), server=True, client=True)
    for name, pem in (("ca", authority.certificate), ("cert", member.certificate), ("key", member.key)):
        (tmp_path / name).write_bytes(pem)
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    process = EtcdProcess(tmp_path)
    files = ["--trusted-ca-file", f"{tmp_path}/ca", "--cert-file", f"{tmp_path}/cert", "--key-file", f"{tmp_path}/key"]
    urls = ["--listen-client-urls", f"http://{process.endpoint},https://{endpoint}"]
    try:
        process.start("--client-cert-auth", *files, *urls)
        yield endpoint
    finally:
        process.kill()


def test_over_tls_only_our_own_authority_and_its_clients_are_trusted(tls_endpoint: str, authority: KeyPair) -> None:
    stranger = make_ca("other", time.time())
    ours = issue(authority, "m1", time.time(), client=True)
    theirs = issue(stranger, "m1", time.time(), client=True)
    store = EtcdStore(EtcdChannels([tls_endpoint], Credentials(authority.certificate, ours.certificate, ours.key)))
    revision = store.commit([Put("/a", b"1")])
    seen = Collector(store.watch("/a", revision - 1))
    eventually(lambda: seen.names() == ["/a"], timeout=30)
    seen.close()
    store.close()
    for trusted, client in ((stranger, ours), (authority, theirs)):
        refused = EtcdStore(
            EtcdChannels([tls_endpoint], Credentials(trusted.certificate, client.certificate, client.key))
        )
        with pytest.raises(StoreUnavailable):
            refused.get("/a")
        refused.close()


def test_certificates_are_renewed_under_a_running_etcd_and_a_watch(
    tls_endpoint: str, authority: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.store.etcd_channels.CALL_SECONDS", 0.5)  # for so long old connections go on, twice
    ours = issue(authority, "m1", time.time(), client=True, life=3)
    member = KeyPair((tmp_path / "cert").read_bytes(), (tmp_path / "key").read_bytes())
    (tmp_path / "cert").write_bytes(renew(authority, member, time.time(), 3).certificate)
    channels = EtcdChannels([tls_endpoint], Credentials(authority.certificate, ours.certificate, ours.key))
    store = EtcdStore(channels)
    revision = store.commit([Put("/a", b"1")])
    seen = Collector(store.watch("/a", revision - 1))
    for life in (3.0, 600.0):
        (tmp_path / "cert").write_bytes(renew(authority, member, time.time(), life).certificate)
        changed = renew(authority, ours, time.time(), life)
        channels.prove(Credentials(authority.certificate, changed.certificate, changed.key))
        over = time.monotonic() + 2
        while time.monotonic() < over:
            store.commit([Put("/a", b"1")])
    store.commit([Put("/a/last", b"")])
    eventually(lambda: "/a/last" in seen.names(), timeout=30)
    seen.close()
    store.close()


def _puts(store: Store, key: str) -> Callable[[], bool]:
    def put() -> bool:
        try:
            store.commit([Put(key, b"")])
        except Unavailable:
            return False
        return True

    return put


def _read(store: EtcdStore, key: str) -> tuple[bytes, int] | None:
    try:
        entry = store.get(key)
    except StoreUnavailable:
        return None
    return (entry.value, entry.revision) if entry else None
