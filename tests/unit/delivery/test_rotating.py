"""The steps of a rotation on a manager's disk: everybody can talk to everybody at each of them, and after each kill."""

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.delivery import authorities, pki
from appliance.delivery.rotating import SEALED, Rotating
from appliance.host import files
from appliance.host.layout import Layout
from appliance.model.cluster import Cluster, JoinToken
from appliance.model.node import NodeSpec
from appliance.model.rotation import NewKeys, NodeTrust, Rotation
from appliance.security.ca import certificates_in, fingerprint, is_issued_by, make_ca
from appliance.security.sealing import KEY_BYTES, Seal
from appliance.security.ssh import make_ssh_key, public_key_of, read_certificate
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import MOST_OPERATIONS, Expect, Put
from tests.unit.link.cluster_in_memory import ClusterInMemory

NOW = 1_800_000_000.0
SEAL = Seal(bytes(KEY_BYTES))


class World(ClusterInMemory):
    """`n1` is the only manager and leads; `n2` is an agent that is connected."""

    def __init__(self, folder: Path) -> None:
        super().__init__(2)
        self.layout = Layout(folder)
        self.etcd_starts = 0
        self.changes = 0
        self.old = pki.make_cluster_keys(self.layout, "lab", "n1", "192.0.2.1", NOW)
        manager = NodeSpec(id="n1", name="n1", number=1, address="192.0.2.1", roles=("manager", "agent"))
        cluster = Cluster(id="c", name="c", url="", network="", ca_fingerprint=fingerprint(self.old), created_at="")
        token = JoinToken(id="t", secret_hash="", role="agent", created_at="", expires_at="")
        self.commit(
            self.state.nodes.put("n1", manager), Put(keys.CLUSTER, encode(cluster)), self.state.tokens.put("t", token)
        )
        for node in ("n1", "n2"):
            self.set_node(node, "ready")
        new, (self.link, public) = make_ca("lab", NOW), make_ssh_key()
        self.new, self.new_key = new.certificate, new.key
        sealed = SEAL.seal(msgspec.json.encode(NewKeys(ca=new.key.decode(), link=self.link)), SEALED)
        self.rotation = Rotation(
            step="spreading",
            started_at="",
            ca=new.certificate.decode(),
            fingerprint=fingerprint(new.certificate),
            link=public.strip(),
            sealed=sealed,
        )
        self.put()
        self.rotating = self.manager()

    def manager(self) -> Rotating:
        """As a process that has just started."""
        return Rotating(
            self.layout,
            "n1",
            self.store,
            self.state,
            lambda: Expect(keys.LEADER, 0),
            SEAL,
            self._start_etcd,
            self._changed,
        )

    def put(self, **changes: Any) -> None:
        self.rotation = msgspec.structs.replace(self.rotation, **changes)
        self.commit(Put(keys.ROTATION, encode(self.rotation)))

    def _start_etcd(self) -> None:
        self.etcd_starts += 1

    def _changed(self) -> None:
        self.changes += 1

    def nodes_believe(self, *nodes: str) -> None:
        """They have heard of the new authorities, and have certificates of whoever signs now."""
        signer = public_key_of(pki.read_ssh_authority(self.layout))
        believed = tuple(pki.read_link_authorities(self.layout).splitlines())
        for node in nodes:
            trust = NodeTrust(node=node, authorities=believed, signed_by=signer)
            self.commit(self.state.node_trust.put(node, trust))

    def step(self) -> str:
        rotation = self.state.rotation()
        return rotation.step if rotation else ""

    def believed(self) -> list[bytes]:
        return certificates_in(pki.read_authority(self.layout))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_new_are_believed_before_they_sign(world: World) -> None:
    world.rotating.cycle()
    assert world.believed() == [world.old, world.new]
    assert pki.read_authority_pair(world.layout).certificate == world.old
    assert world.etcd_starts == 1
    assert world.step() == "spreading"


def test_more_tokens_than_one_commit_takes_become_worthless(world: World) -> None:
    """One for every node that has joined."""
    for number in range(MOST_OPERATIONS + 10):
        token = JoinToken(id=f"t{number}", secret_hash="", role="agent", created_at="", expires_at="", used_by="n2")
        world.commit(world.state.tokens.put(token.id, token))
    world.rotating.cycle()
    world.nodes_believe("n1", "n2")
    world.rotating.cycle()
    assert (world.step(), world.state.tokens.all()) == ("signing", {})


def test_they_sign_when_all_that_are_connected_believe_them_and_tokens_become_worthless(world: World) -> None:
    world.rotating.cycle()
    world.nodes_believe("n1", "n2")
    world.rotating.cycle()
    assert world.step() == "signing"
    assert world.state.tokens.all() == {}
    cluster = world.state.cluster()
    assert cluster and cluster.ca_fingerprint == fingerprint(world.new)
    world.rotating.cycle()
    assert world.believed() == [world.new, world.old]
    assert pki.read_authority_pair(world.layout).certificate == world.new
    assert pki.renew_due(world.layout, NOW) == {"etcd", "page", "client", "user"}
    assert is_issued_by(pki.read_leaf(world.layout, "etcd").certificate, world.new)


def test_nodes_that_were_off_are_shown_a_certificate_of_the_old_authority_too(world: World) -> None:
    old = public_key_of(pki.read_ssh_authority(world.layout))
    world.put(step="signing")
    world.rotating.cycle()
    pki.renew_due(world.layout, NOW)
    shown = pki.read_user_certificates(world.layout)
    assert [read_certificate(each).authority for each in shown] == [world.rotation.link, old]
    assert "user" in pki.renew_due(world.layout, NOW + 80 * 86_400)
    assert read_certificate(pki.read_user_certificates(world.layout)[1]).validity.issued == NOW + 80 * 86_400


def test_the_old_are_forgotten_at_the_end_and_the_rotation_is_over(world: World) -> None:
    for step in ("signing", "dropping"):
        world.put(step=step)
        world.rotating.cycle()
        pki.renew_due(world.layout, NOW)
    assert world.believed() == [world.new]
    assert pki.read_link_authorities(world.layout).split() == world.rotation.link.split()
    assert len(pki.read_user_certificates(world.layout)) == 1
    assert not (world.layout.pki / "ssh-ca-old").exists()
    assert world.step() == ""


def test_a_cycle_that_changes_nothing_does_nothing(world: World) -> None:
    for _ in range(3):
        world.rotating.cycle()
    assert (world.changes, world.etcd_starts) == (1, 1)


def test_a_manager_that_was_off_while_the_others_learned_signs_with_halves_at_no_time(world: World) -> None:
    world.put(step="signing")
    world.manager().cycle()
    assert pki.read_authority_pair(world.layout).certificate == world.new
    assert world.believed() == [world.new, world.old]


class Killed(BaseException):
    pass


def dying_after(writes: int, write: Any) -> Any:
    """`write`, as it is until the process is killed."""
    left = iter(range(writes))

    def dying(*given: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return write(*given, **more)

    return dying


@pytest.mark.parametrize("step", ["spreading", "signing", "dropping"])
def test_after_a_kill_before_any_write_there_is_an_authority_and_the_step_goes_on(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(step=step)
    new = NewKeys(ca=world.new_key.decode(), link=world.link)
    for writes in range(12):
        monkeypatch.setattr(authorities, "write_if_changed", dying_after(writes, files.write_if_changed))
        with contextlib.suppress(Killed):
            authorities.install(world.layout, world.rotation, new)
        assert pki.read_authority_pair(world.layout).certificate in (world.old, world.new)
    monkeypatch.undo()
    world.manager().cycle()
    assert world.new in world.believed()


def test_etcd_is_started_anew_again_where_a_kill_hid_whether_it_was(world: World) -> None:
    world.rotating.cycle()
    (world.layout.pki / "etcd-believes").unlink()
    world.manager().cycle()
    assert world.etcd_starts == 2
