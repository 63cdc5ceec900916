"""Connected nodes are given certificates in time, hear whom to believe, and are cut off when their key is revoked."""

from collections.abc import Callable

import msgspec
import pytest

from appliance.link.messages import Believes, Picture, Trust
from appliance.link.trust import Authorities, TrustDispatch
from appliance.model.certificate import DAY, USUAL_LIFE, RevokedKey
from appliance.model.cluster import Cluster
from appliance.model.rotation import NodeTrust
from appliance.security.ssh import (
    LinkCertificate,
    issue_host_certificate,
    key_fingerprint,
    make_ssh_key,
    public_key_of,
    read_certificate,
)
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import MOST_OPERATIONS, Put
from tests.unit.link.cluster_in_memory import NOW, ClusterInMemory, unstamped

START = 1_800_000_000.0


class Links:
    """The manager's end: who is connected, and with which certificate."""

    def __init__(self) -> None:
        self.shown: dict[str, LinkCertificate] = {}
        self.sent: list[Trust] = []
        self.follow = True

    def send(self, node_id: str, message: Picture) -> None:
        trust = unstamped(message)
        assert isinstance(trust, Trust)
        self.sent.append(trust)

    def followers(self) -> set[str]:
        return self.connected() if self.follow else set()

    def connected(self) -> set[str]:
        return set(self.shown)

    def certificate_of(self, node_id: str) -> LinkCertificate | None:
        return self.shown.get(node_id)

    def cut(self, node_id: str) -> None:
        del self.shown[node_id]


class World(ClusterInMemory):
    """Of its nodes `n1` is connected, with a certificate of START."""

    def __init__(self, nodes: int = 1) -> None:
        super().__init__(nodes)
        self.now = START
        self.links = Links()
        self.key = make_ssh_key()[1].strip()
        self.sign_with(make_ssh_key()[0])
        self.trust = TrustDispatch(self.state, self.store, self.links, lambda: self.authorities, lambda: self.now)
        node = self.state.nodes.get("n1")
        assert node
        self.commit(self.state.nodes.put("n1", msgspec.structs.replace(node, ssh_key=self.key)))
        self.connect(self.certificate())

    def sign_with(self, authority: str, *others: str) -> None:
        def sign(shown: LinkCertificate, life: float) -> str:
            return issue_host_certificate(authority, shown.key, shown.name, self.now, life)

        self.authority = authority
        lines = tuple(public_key_of(each) for each in (authority, *others))
        self.authorities = Authorities(link=lines, ca="CA", sign=sign)

    def certificate(self, key: str = "", node: str = "n1") -> LinkCertificate:
        return read_certificate(issue_host_certificate(self.authority, key or self.key, node, self.now))

    def live(self, life: float) -> None:
        """From now on certificates are issued for so many seconds."""
        cluster = Cluster(
            id="c", name="c", url="", network="10.99.0.0/16", ca_fingerprint="", created_at=NOW, certificate_life=life
        )
        self.commit(Put(keys.CLUSTER, encode(cluster)))

    def connect(self, certificate: LinkCertificate) -> None:
        self.links.shown["n1"] = certificate
        self.trust.greet("n1")

    def told(self) -> list[Trust]:
        self.links.sent.clear()
        self.trust.cycle()
        return list(self.links.sent)

    def revoke(self) -> None:
        key = RevokedKey(fingerprint=key_fingerprint(self.key), node="n1", name="n1", at=NOW)
        self.commit(self.state.revoked.put(key.fingerprint, key))


@pytest.fixture
def world() -> World:
    return World()


def test_a_node_hears_whom_to_believe_once_and_again_after_a_hello(world: World) -> None:
    assert world.told() == [Trust(authorities=world.authorities.link, ca="CA")]
    assert world.told() == []
    world.connect(world.certificate())
    assert len(world.told()) == 1


def test_it_gets_a_new_certificate_for_its_key_when_a_third_of_the_life_is_left(world: World) -> None:
    world.told()
    world.now += USUAL_LIFE * 0.66
    assert world.told() == []
    world.now += DAY
    (news,) = world.told()
    given = read_certificate(news.certificate)
    assert (given.kind, given.name, given.key, given.validity.issued) == ("host", "n1", world.key, world.now)
    assert world.told() == []


def test_one_that_another_manager_has_given_is_enough(world: World) -> None:
    world.told()
    world.now += USUAL_LIFE * 0.7
    other = TrustDispatch(world.state, world.store, world.links, lambda: world.authorities, lambda: world.now)
    other.cycle()
    assert world.told() == []


def test_one_that_has_ended_is_let_in_and_renewed(world: World) -> None:
    world.now += USUAL_LIFE * 3
    assert world.trust.why_not(world.links.shown["n1"]) == ""
    assert read_certificate(world.told()[0].certificate).validity.over == world.now + USUAL_LIFE


@pytest.mark.parametrize("life", [600, USUAL_LIFE])
def test_a_clock_a_year_behind_one_that_was_a_year_ahead_renews_once(world: World, life: float) -> None:
    world.live(life)
    for moment in (START + 370 * DAY, START - 370 * DAY, START):
        world.now = moment
        assert [bool(each.certificate) for each in world.told()] == [True]
        assert world.told() == []
        good = world.state.held.all()["n1/host"].validity
        assert good.begun < START < good.over
    assert good.life == life


def test_another_authority_signs_anew(world: World) -> None:
    world.told()
    world.sign_with(make_ssh_key()[0], world.authority)
    assert read_certificate(world.told()[0].certificate).authority == world.authorities.link[0]
    assert world.told() == []


def test_a_link_that_was_begun_with_an_old_signature_stays_when_the_node_has_a_new_one(world: World) -> None:
    new = make_ssh_key()[0]
    world.told()
    world.sign_with(new, world.authority)
    assert len(world.told()) == 1
    world.sign_with(new)
    assert len(world.told()) == 1
    assert world.links.connected() == {"n1"}


def test_a_node_that_has_its_new_signature_from_another_manager_is_let_in(world: World) -> None:
    new = make_ssh_key()[0]
    world.told()
    world.links.follow = False
    world.sign_with(new, world.authority)
    world.links.shown["n1"] = world.certificate()  # it came back with that one
    world.sign_with(new)
    assert world.told() == []
    assert world.links.connected() == {"n1"}


def _of_another_key(world: World) -> LinkCertificate:
    return world.certificate(key=make_ssh_key()[1])


def _of_nobody(world: World) -> LinkCertificate:
    return world.certificate(node="n9")


def _of_a_stranger(world: World) -> LinkCertificate:
    return read_certificate(issue_host_certificate(make_ssh_key()[0], world.key, "n1", world.now))


def _revoked(world: World) -> LinkCertificate:
    world.revoke()
    return world.certificate()


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (_of_another_key, "not the one that n1 joined with"),
        (_of_nobody, "no node of it"),
        (_of_a_stranger, "not signed by this cluster's authority"),
        (_revoked, "revoked"),
    ],
)
def test_who_is_not_let_in_is_told_why(world: World, shown: Callable[[World], LinkCertificate], why: str) -> None:
    assert why in world.trust.why_not(shown(world))


def test_a_link_is_cut_when_its_nodes_key_is_revoked(world: World) -> None:
    world.told()
    world.revoke()
    assert world.told() == []
    assert world.links.connected() == set()


def test_a_link_is_cut_when_its_node_is_removed(world: World) -> None:
    world.commit(world.state.nodes.delete("n1"))
    assert world.told() == []
    assert world.links.connected() == set()


def test_what_an_outage_kept_from_being_written_of_whom_nodes_believe_is_written_later(world: World) -> None:
    def fail() -> None:
        raise ConnectionError("no store")

    world.told()
    world.trust.believes("n1", Believes(authorities=("a",), signed_by="a"))
    world.store.before = fail
    with pytest.raises(ConnectionError):
        world.trust.cycle()
    world.trust.cycle()
    assert world.state.node_trust.all() == {"n1": NodeTrust(node="n1", authorities=("a",), signed_by="a")}


def test_more_nodes_than_one_commit_takes_may_say_at_once_whom_they_believe() -> None:
    world = World(nodes=MOST_OPERATIONS + 2)
    for node in world.state.nodes.all():
        world.trust.believes(node, Believes(authorities=("a",), signed_by="a"))
    world.trust.cycle()
    assert world.state.node_trust.all().keys() == world.state.nodes.all().keys()


def test_what_was_given_is_written_down(world: World) -> None:
    world.told()
    world.now += USUAL_LIFE
    world.told()
    held = world.state.held.all()["n1/host"]
    assert held.validity.issued == world.now
    assert held.key == key_fingerprint(world.key)
