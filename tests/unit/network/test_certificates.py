"""Certificates of the entry: issued and renewed by the leader, or from a secret; kept sealed."""

import msgspec
import pytest

from appliance.model.certificate import DAY, USUAL_LIFE
from appliance.model.container import Container
from appliance.model.service import Deploy, Entry, Revision, Service, ServiceHead
from appliance.model.vip import Vip
from appliance.network.certificates import EntryCertificates, host_certificates
from appliance.security.ca import issue, make_ca, validity_of
from appliance.security.sealing import KEY_BYTES, Seal
from appliance.security.secrets import sealed_secret
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Expect, Put
from tests.unit.link.cluster_in_memory import NOW, ClusterInMemory

AUTHORITY = make_ca("lab", 0.0)
SEAL = Seal(bytes(KEY_BYTES))


class World(ClusterInMemory):
    """One manager."""

    def __init__(self) -> None:
        super().__init__(nodes=2)
        self.now = 0.0
        self.leads = True
        node = self.state.nodes.get("n1")
        assert node
        self.commit(self.state.nodes.put("n1", msgspec.structs.replace(node, roles=("manager", "agent"))))
        self.certificates = EntryCertificates(
            self.store, self.state, self._term, lambda: AUTHORITY, SEAL, lambda: self.now
        )

    def _term(self) -> Expect | None:
        return Expect(keys.LEADER, 0) if self.leads else None

    def serve(self, *entries: Entry, secrets: dict[str, int] | None = None) -> None:
        web = Deploy(name="web", containers={"main": Container(image="a:1")})
        spec = Service(name="s", deploys={"web": web}, entry=entries)
        revision = Revision(service="s", number=1, spec=spec, author="me", created_at=NOW, secrets=secrets or {})
        head = ServiceHead(service="s", revision=1)
        self.commit(Put(keys.revision_key("s", 1), encode(revision)), self.state.services.put("s", head))

    def certificate(self, host: str) -> str:
        self.certificates.cycle()
        return next((each.chain for each in host_certificates(self.state, SEAL) if each.host == host), "")


@pytest.fixture
def world() -> World:
    return World()


def entry(host: str = "", **more: object) -> Entry:
    return msgspec.convert({"deploy": "web", "port": 80, "host": host, **more}, Entry)


def test_each_host_gets_one_once(world: World) -> None:
    world.serve(entry("a"), entry("a", path="/b"), entry("*.c"), entry("plain", tls="never"), entry(tcp=70))
    first = world.certificate("a")
    assert first and first == world.certificate("a")
    assert sorted(world.state.certificates.all()) == ["*.c", "a"]


def test_a_manager_that_does_not_lead_issues_nothing(world: World) -> None:
    world.serve(entry("a"))
    world.leads = False
    assert world.certificate("a") == ""


def test_the_key_is_sealed_in_the_store(world: World) -> None:
    world.serve(entry("a"))
    world.certificate("a")
    stored = world.store.get(keys.CERTIFICATES + "a")
    assert stored and b"PRIVATE KEY" not in stored.value
    assert "PRIVATE KEY" in host_certificates(world.state, SEAL)[0].key


def test_one_is_renewed_when_a_third_of_its_life_is_left(world: World) -> None:
    world.serve(entry("a"))
    first = world.certificate("a")
    world.now = USUAL_LIFE * 0.66
    assert world.certificate("a") == first
    world.now = USUAL_LIFE * 0.67
    assert world.certificate("a") != first


def test_one_by_a_clock_behind_that_of_the_one_before_is_good_by_right_clocks(world: World) -> None:
    right = 1_800_000_000.0
    world.serve(entry("a"))
    for moment in (right + 370 * DAY, right - 370 * DAY):
        world.now = moment
        good = validity_of(world.certificate("a").encode())
        assert good.begun < right < good.over
    world.now = right
    assert validity_of(world.certificate("a").encode()).life == USUAL_LIFE


def test_a_rule_for_any_host_is_reached_at_the_addresses_of_the_nodes_that_serve_it(world: World) -> None:
    world.serve(entry())
    first = world.certificate("")
    assert world.state.certificates.all()["_"].addresses == ("192.0.2.1",)
    world.label("n2", entry="")
    assert world.certificate("") != first
    vip = Vip(address="192.0.2.9", length=24, router=1)
    world.commit(world.state.vips.put(vip.address, vip))
    world.certificate("")
    assert world.state.certificates.all()["_"].addresses == ("192.0.2.1", "192.0.2.2", "192.0.2.9")


def test_one_that_no_rule_needs_any_more_goes(world: World) -> None:
    world.serve(entry("a"))
    world.certificate("a")
    world.serve(entry("b"))
    world.certificate("b")
    assert list(world.state.certificates.all()) == ["b"]


def test_one_of_a_secret_is_taken_as_the_revision_has_it(world: World) -> None:
    own = issue(make_ca("other", 0.0), "a", 0.0, names=("a",), server=True)
    text = (own.key + own.certificate).decode()
    secret = sealed_secret(SEAL, "s", "tls", 2, text, "me", NOW)
    world.commit(world.state.secrets.put(keys.secret_name("s", "tls", 2), secret))
    world.serve(entry("a"), entry("a", path="/b", certificate="tls"), secrets={"tls": 2})
    assert world.certificate("a") == own.certificate.decode()
    assert world.state.certificates.all() == {}


def test_a_secret_that_is_no_certificate_leaves_the_other_hosts_theirs(world: World) -> None:
    secret = sealed_secret(SEAL, "s", "tls", 1, "nonsense", "me", NOW)
    world.commit(world.state.secrets.put(keys.secret_name("s", "tls", 1), secret))
    world.serve(entry("a", certificate="tls"), entry("b"), secrets={"tls": 1})
    assert world.certificate("b") and not world.certificate("a")
