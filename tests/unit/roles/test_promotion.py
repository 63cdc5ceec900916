"""A node becomes a manager and ceases to be one: by files, each step of which may be done again."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.agent.assignments import AssignmentBook
from appliance.delivery import node_files, pki
from appliance.delivery.package import Package
from appliance.host.layout import Layout
from appliance.link.messages import Demotion, Promotion
from appliance.model.identity import NodeIdentity, OwnMember
from appliance.roles.founding import Wish, found
from appliance.roles.promotion import Office, lost_member
from appliance.roles.settling import settle
from appliance.security.ca import addresses_of
from tests.unit.delivery.synthetic import make_package

WISH = Wish(cluster_name="lab", node_name="one", address="10.0.0.1", network="10.99.0.0/16", engine="", clock="ours")
AGENT = NodeIdentity(
    id="n-2",
    name="two",
    number=2,
    address="10.0.0.2",
    roles=("agent",),
    dial="manager",
    cluster_id="c",
    cluster_name="lab",
    network="10.99.0.0/16",
    managers=("10.0.0.1:8444",),
)
SIDECARS = {f"system/{name}-2" for name in ("etcd", "registry", "nginx")}


class World:
    """`node` is an agent of the cluster that `first` founded."""

    def __init__(self, folder: Path, package: Package) -> None:
        self.first, self.node, self.package = Layout(folder / "first"), Layout(folder / "node"), package
        found(self.first, WISH, package)
        self.first.seal_key.write_bytes(b"k" * 32)
        pki.write_authority(self.node, pki.read_authority(self.first))
        pki.write_host_keys(self.node, "", "")
        node_files.write_identity(self.node, AGENT)
        self.office = Office(self.node, package)

    def message(self, member: str = "ab") -> Promotion:
        peers = {"n-1": "https://10.0.0.1:2380"}
        return Promotion(
            member=member,
            peers=peers,
            keys=pki.read_shared(self.first),
            vip="10.0.0.100/24",
            life=3600.0,
            store_quota=256 * 2**20,
        )

    def etcd_config(self) -> str:
        return (self.node.sidecar_files / "etcd/etcd.json").read_text()

    def etcd_runs(self) -> None:
        """As it does when it has started, and what its manager then writes."""
        wal = self.node.etcd_data / "member/wal"
        wal.mkdir(parents=True)
        (wal / "0.wal").touch()
        node_files.write_member(self.node, OwnMember(id="ab"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Package.open(make_package(tmp_path, names=("etcd", "registry", "nginx"))) as package:
        yield World(tmp_path, package)


def files(layout: Layout) -> set[str]:
    return {str(path.relative_to(layout.root)) for path in layout.root.rglob("*") if path.is_file()}


def test_it_has_all_that_a_manager_needs(world: World) -> None:
    world.office.promote(world.message())
    identity = node_files.read_identity(world.node)
    assert (identity.roles, identity.dial, identity.vip) == (("manager", "agent"), "agent", "10.0.0.100/24")
    assert (identity.store_quota, '"quota-backend-bytes": 268435456' in world.etcd_config()) == (256 * 2**20, True)
    assert pki.read_shared(world.node) == pki.read_shared(world.first)
    assert set(AssignmentBook(world.node.assignments).all()) == SIDECARS
    assert addresses_of((world.node.pki / "web/web.crt").read_bytes()) == ["10.0.0.2", "127.0.0.1", "10.0.0.100"]
    for name in ("etcd/etcd", "web/web", "client/client"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(world.node.pki / f"{name}.crt", world.node.pki / f"{name}.key")
    assert '"existing"' in world.etcd_config() and "n-1=https://10.0.0.1:2380" in world.etcd_config()


def test_a_kill_at_any_file_is_answered_by_asking_again(world: World, tmp_path: Path) -> None:
    before = files(world.node)
    world.office.promote(world.message())
    made = sorted(files(world.node) - before)
    assert len(made) > 12
    for number, name in enumerate(made):
        again = World(tmp_path / str(number), world.package)
        (again.node.root / name).mkdir(parents=True)
        with pytest.raises(OSError):
            again.office.promote(again.message())
        assert node_files.read_identity(again.node) == AGENT, name
        (again.node.root / name).rmdir()
        again.office.promote(again.message())
        assert files(again.node) == files(world.node)


def test_asked_again_nothing_changes_once_etcd_has_started(world: World) -> None:
    world.office.promote(world.message())
    world.etcd_runs()
    before = {path: path.stat().st_mtime_ns for path in world.node.root.rglob("*.crt")}
    world.office.promote(world.message())
    assert node_files.read_member(world.node) == OwnMember(id="ab")
    assert node_files.has_etcd_data(world.node)
    assert {path: path.stat().st_mtime_ns for path in world.node.root.rglob("*.crt")} == before


def test_before_it_has_started_it_hears_of_other_peers(world: World) -> None:
    world.office.promote(world.message())
    world.office.promote(replace(world.message(), peers={"n-3": "https://10.0.0.3:2380"}))
    assert "n-3=https://10.0.0.3:2380" in world.etcd_config() and "n-1=" not in world.etcd_config()


def test_data_of_an_earlier_member_never_meets_a_new_one(world: World) -> None:
    world.office.promote(world.message())
    world.etcd_runs()
    world.office.promote(world.message(member="cd"))
    assert not node_files.has_etcd_data(world.node)
    assert "n-1=https://10.0.0.1:2380" in world.etcd_config()


def test_a_manager_says_which_members_data_it_has_lost(world: World) -> None:
    world.office.promote(world.message())
    assert lost_member(world.node) == ""
    world.etcd_runs()
    assert lost_member(world.node) == ""
    (world.node.etcd_data / "member/wal/0.wal").unlink()
    assert lost_member(world.node) == "ab"


def test_a_demoted_node_keeps_nothing_that_only_managers_have(world: World) -> None:
    before = files(world.node)
    node_files.write_identity(world.node, replace(AGENT, joined_with="t-1"))
    world.office.promote(world.message())
    world.etcd_runs()
    world.office.demote(Demotion(dial="manager"))
    identity = node_files.read_identity(world.node)
    assert identity == AGENT
    settle(world.node, identity)
    assert {name for name in files(world.node) - before if "/sidecars/" not in name} == set()
    assert not world.node.etcd_data.exists()


def test_what_a_broken_off_promotion_left_goes_at_the_next_start(world: World) -> None:
    pki.write_shared(world.node, pki.read_shared(world.first))
    settle(world.node, AGENT)
    assert not pki.may_sign(world.node)


def test_a_demotion_is_no_matter_for_an_agent(world: World) -> None:
    world.office.demote(Demotion(dial="agent"))
    assert node_files.read_identity(world.node) == AGENT
