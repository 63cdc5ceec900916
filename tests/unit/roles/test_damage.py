"""Every file of a node, cut short, emptied, zeroed or filled with garbage: it starts, or says what is to be done."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.agent.diary import Diary, News
from appliance.agent.record import Records, Tries
from appliance.agent.secrets import SecretBook
from appliance.agent.wishes import LocalWishes
from appliance.delivery import engine_traces, node_files, pki
from appliance.delivery.engine_traces import Before
from appliance.errors import LocalStateDamaged
from appliance.host.layout import Layout
from appliance.link.fence import Fence
from appliance.model.directory import Endpoint
from appliance.model.instance import Assignment
from appliance.model.node import Peer
from appliance.model.stamp import Stamp
from appliance.network.bridged import BridgedTraffic
from appliance.network.directory_book import DirectoryBook
from appliance.network.peers import PeerFile
from appliance.roles.damage import damaged
from appliance.security.sealing import make_seal, read_seal
from tests.unit.delivery.test_node_files import IDENTITY

WEB = Assignment(instance="shop/web-1", service="shop", deploy="web", index=1, revision=1, containers=())
SYSTEM = msgspec.structs.replace(WEB, instance="system/etcd-1", service="system", deploy="etcd")


def book(layout: Layout) -> AssignmentBook:
    return AssignmentBook(layout.assignments, LocalWishes(layout.wishes))


def write_all(layout: Layout) -> None:
    """A manager's files, as those write them who own them."""
    pki.make_cluster_keys(layout, "lab", "n-1", "192.0.2.1", 1_700_000_000.0)
    make_seal(layout.seal_key)
    node_files.write_identity(layout, IDENTITY)
    opened = book(layout)
    for assignment in (WEB, SYSTEM):
        opened.put(assignment)
    opened.wish("shop/web-1", "stop", "li")
    Records(layout.records).put("shop/web-1", Tries(count=1))
    diary = Diary(layout.diary, "b1")
    diary.note("shop/web-1", News("restart", "main was started again"))
    SecretBook(layout.secrets_file, layout.secrets_key).take({"shop/password@1": "secret"})
    PeerFile(layout.peers_file).write((Peer(node="n-1", number=1, address="192.0.2.1", vtep_mac=""),))
    endpoint = Endpoint(
        instance="shop/web-1", service="shop", deploy="web", index=1, node="n-1", ip="10.99.1.2", ready=True
    )
    DirectoryBook(layout.directory_file).take(full=True, endpoints=[endpoint])
    Fence(layout.fence_file, "c").keep(Stamp(incarnation=0, revision=7))
    layout.before_file.write_bytes(msgspec.json.encode(Before(forwarding="0", policies={})))
    layout.bridged_before.write_text("0\n")
    nginx = layout.sidecar_files / "nginx/nginx.conf"
    nginx.parent.mkdir(parents=True)
    nginx.write_text("events {}\n")


def start(layout: Layout) -> None:
    """Read everything that a start reads, as those do who own it; keys that cannot be made anew are asked for last."""
    opened, wishes = book(layout), LocalWishes(layout.wishes)
    assert len(opened.all()) + len(opened.damaged) == 2
    assert all(each.number > 0 for each in wishes.all())
    Records(layout.records).tries("shop/web-1")
    Diary(layout.diary, "b2").page()
    SecretBook(layout.secrets_file, layout.secrets_key).take({"shop/password@2": "again"})
    PeerFile(layout.peers_file).read()
    _ = DirectoryBook(layout.directory_file).now
    BridgedTraffic(layout.bridged_before, layout.root / "no-such-setting").restore()
    _ = Fence(layout.fence_file, "c").stamp
    engine_traces._before(layout)
    if not damaged(layout):
        for use in pki.LEAVES:
            pki.read_leaf(layout, use)
        pki.read_user_keys(layout)
    node_files.read_identity(layout)
    pki.read_authority_pair(layout)
    pki.read_host_keys(layout)
    pki.read_link_authorities(layout)
    pki.read_ssh_authority(layout)
    read_seal(layout.seal_key)


KEPT = (
    "var/lib/appliance/assignments/shop/web-1.json",
    "var/lib/appliance/assignments/system/etcd-1.json",
    "var/lib/appliance/before.json",
    "var/lib/appliance/bridged-before",
    "var/lib/appliance/diary.json",
    "var/lib/appliance/directory.json",
    "var/lib/appliance/fence.json",
    "var/lib/appliance/peers.json",
    "var/lib/appliance/records/shop/web-1.json",
    "var/lib/appliance/secrets.sealed",
    "var/lib/appliance/wishes.json",
    "etc/appliance/secrets.key",
    "etc/appliance/sidecars/nginx/nginx.conf",
    *(f"etc/appliance/pki/{name}" for name in (*pki.COPIES, "link/user.key", "link/user.crt")),
    *(f"etc/appliance/pki/{name}{suffix}" for name in pki.LEAVES.values() for suffix in (".crt", ".key")),
)
"""Without them a node starts all the same."""
NEEDED = (
    "var/lib/appliance/node.json",
    *(f"etc/appliance/pki/{name}" for name in ("ca.crt", "ca.key", "ssh-ca", "ssh-ca.pub", "seal.key")),
    *(f"etc/appliance/pki/link/{name}" for name in ("host.key", "host.crt", "authority.pub")),
)
"""Nobody but a person can bring them back."""


@dataclass(frozen=True)
class Damage:
    name: str
    do: Callable[[bytes], bytes]


DAMAGES = (
    Damage("empty", lambda content: b""),
    Damage("cut short", lambda content: content[: len(content) // 2]),
    Damage("zeroed", lambda content: bytes(len(content))),
    Damage("garbage", lambda content: bytes(byte ^ 0xA5 for byte in content)),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Content by path below the root."""
    root = tmp_path_factory.mktemp("whole")
    write_all(Layout(root))
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


@pytest.fixture
def layout(whole: dict[str, bytes], tmp_path: Path) -> Layout:
    for name, content in whole.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return Layout(tmp_path)


def test_every_file_is_in_one_of_the_lists(whole: dict[str, bytes]) -> None:
    assert sorted(whole) == sorted((*KEPT, *NEEDED))


def test_what_is_whole_starts_and_nothing_of_it_is_damaged(layout: Layout) -> None:
    start(layout)
    assert damaged(layout) == []


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
@pytest.mark.parametrize("name", KEPT)
def test_a_node_starts_without(layout: Layout, name: str, damage: Damage, caplog: pytest.LogCaptureFixture) -> None:
    file = layout.root / name
    file.write_bytes(damage.do(file.read_bytes()))
    with caplog.at_level(logging.WARNING):
        start(layout)
    assert caplog.records or damaged(layout) or name.endswith("bridged-before"), "nobody said that it is damaged"
    start(layout)
    assert set(book(layout).all()) | book(layout).damaged == {"shop/web-1", "system/etcd-1"}


# One random key looks like another: what was sealed with it does not open.
TELLING = [
    pytest.param(name, damage, id=f"{name}-{damage.name}")
    for name in NEEDED
    for damage in DAMAGES
    if not (name.endswith("/seal.key") and damage.name == "garbage")
]


@pytest.mark.parametrize(("name", "damage"), TELLING)
def test_what_cannot_be_made_anew_is_named_with_the_remedy(layout: Layout, name: str, damage: Damage) -> None:
    file = layout.root / name
    file.write_bytes(damage.do(file.read_bytes()))
    with pytest.raises(LocalStateDamaged) as raised:
        start(layout)
    assert raised.value.where == str(file)
    assert raised.value.next


def test_a_sidecar_whose_assignment_is_damaged_is_among_what_is_made_anew(layout: Layout) -> None:
    (layout.assignments / "system/etcd-1.json").write_bytes(b"")
    assert damaged(layout) == ["system/etcd-1"]
    assert damaged(layout) == ["system/etcd-1"], "also at the next start"
    book(layout).put(SYSTEM)
    assert damaged(layout) == []
