"""Stable addresses: who gets one, who keeps it, and when it is free again."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.addresses import virtual_addresses
from appliance.model.cluster import Cluster
from appliance.model.container import Container, Port
from appliance.model.directory import VirtualAddress
from appliance.model.service import Deploy, Revision, Rollout, Service, ServiceHead
from appliance.orchestrator.virtual import change
from appliance.orchestrator.virtual_controller import Addresses
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Delete, Expect, Put

NETWORK = "10.42.0.0/16"
NAMES = st.sets(st.integers(0, 700).map(lambda number: f"s{number % 7}/d{number}"))


def applied(known: dict[str, VirtualAddress], wanted: set[str], kept: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """Change `known` as the controller would; returns those without an address."""
    found = change(wanted, kept, known, NETWORK)
    for name in found.freed:
        del known[name]
    known |= {f"{each.service}/{each.deploy}": each for each in found.given}
    return list(found.without)


@given(st.lists(NAMES, max_size=4))
def test_no_two_have_the_same_address_and_nobody_loses_the_one_it_has(steps: list[set[str]]) -> None:
    known: dict[str, VirtualAddress] = {}
    for wanted in steps:
        before = dict(known)
        without = applied(known, wanted)
        assert {name: each for name, each in before.items() if name in wanted}.items() <= known.items()
        assert known.keys() | set(without) == wanted
        assert len({each.ip for each in known.values()}) == len(known)
        assert {each.ip for each in known.values()} <= set(virtual_addresses(NETWORK))


def test_a_deploy_that_comes_back_has_the_address_that_it_had() -> None:
    known: dict[str, VirtualAddress] = {}
    applied(known, {"shop/web", "shop/db"})
    before = known["shop/web"]
    applied(known, {"shop/db"})
    assert "shop/web" not in known
    applied(known, {"shop/web", "shop/db"})
    assert known["shop/web"] == before


def test_who_finds_none_left_is_named_and_gets_the_first_that_is_free() -> None:
    everybody = {f"s/d{number}" for number in range(509)}
    known: dict[str, VirtualAddress] = {}
    (late,) = applied(known, everybody)
    free = known["s/d1"].ip
    assert applied(known, everybody - {"s/d1"}) == []
    assert known[late].ip == free


class House:
    """A leading manager's view of a store."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.term: Expect | None = Expect(keys.LEADER, self.store.commit([Put(keys.LEADER, b"m")]))
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        self.addresses = Addresses(self.store, self.state, lambda: self.term)
        cluster = Cluster(id="c", name="c", url="", network=NETWORK, ca_fingerprint="", created_at="")
        self.mirror.start()
        self.write(Put(keys.CLUSTER, encode(cluster)))

    def write(self, *operations: Put | Delete) -> None:
        assert self.mirror.wait_for(self.store.commit(operations), 5)

    def apply(self, number: int, *deploys: Deploy) -> None:
        spec = Service(name="s", deploys={each.name: each for each in deploys})
        revision = Revision(service="s", number=number, spec=spec, author="me", created_at="")
        head = self.state.services.put("s", ServiceHead(service="s", revision=number))
        self.write(Put(keys.revision_key("s", number), encode(revision)), head)

    def cycle(self) -> dict[str, str]:
        self.addresses.cycle()
        return {name: each.ip for name, each in self.state.virtual.all().items()}


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.mirror.stop()


def deploy(name: str, *, ports: bool = True, host_network: bool = False) -> Deploy:
    main = Container(image="a:1", ports={"http": Port(port=80)} if ports else {})
    return Deploy(name=name, containers={"main": main}, host_network=host_network)


def test_only_what_others_connect_to_in_the_overlay_has_an_address(house: House) -> None:
    house.apply(1, deploy("web"), deploy("quiet", ports=False), deploy("host", host_network=True))
    assert list(house.cycle()) == ["s/web"]


def test_an_address_is_kept_until_its_deploy_is_gone_for_good(house: House) -> None:
    house.apply(1, deploy("web"), deploy("db"))
    before = house.cycle()
    house.apply(2, deploy("web"))
    house.write(house.state.rollouts.put("s", Rollout(service="s", revision=2, state="running", previous=1)))
    assert house.cycle() == before, "the service may still go back"
    house.write(house.state.rollouts.put("s", Rollout(service="s", revision=2, state="done", previous=2)))
    assert house.cycle() == {"s/web": before["s/web"]}


def test_a_deleted_service_keeps_its_addresses_until_nothing_is_left_of_it(house: House) -> None:
    house.apply(1, deploy("web"))
    before = house.cycle()
    house.write(house.state.services.put("s", ServiceHead(service="s", revision=1, deleted=True)))
    assert house.cycle() == before
    house.write(house.state.services.delete("s"))
    assert house.cycle() == {}


def test_who_does_not_lead_gives_nothing(house: House) -> None:
    house.apply(1, deploy("web"))
    house.term = None
    assert house.cycle() == {}
