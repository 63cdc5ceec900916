"""A manager renews its own certificates: in time, for the same keys, and whatever its clock says."""

from pathlib import Path

import pytest

from appliance.delivery import pki
from appliance.delivery.renewal import Renewal
from appliance.host.layout import Layout
from appliance.model.certificate import DAY, USUAL_LIFE, Use
from appliance.security.ca import is_issued_by, make_ca
from appliance.security.ssh import read_certificate
from tests.unit.link.cluster_in_memory import ClusterInMemory

START = 1_800_000_000.0
ALL: set[Use] = {"etcd", "page", "client", "user"}


class World(ClusterInMemory):
    def __init__(self, layout: Layout) -> None:
        super().__init__(1)
        self.layout = layout
        self.now = START
        self.renewed: list[set[Use]] = []
        pki.make_cluster_keys(layout, "lab", "n1", "192.0.2.1", START)
        self.renewal = Renewal(layout, "n1", self.state, self.store, self.renewed.append, lambda: self.now)

    def cycle_at(self, moment: float) -> float:
        self.now = moment
        self.renewed.clear()
        return self.renewal.cycle()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Layout(tmp_path))


def test_all_are_renewed_when_a_third_of_their_life_is_left_and_keep_their_keys(world: World) -> None:
    key = pki.read_leaf(world.layout, "etcd").key
    assert world.cycle_at(START) == pytest.approx(USUAL_LIFE * 2 / 3, abs=1)
    assert world.renewed == []
    assert world.cycle_at(START + 61 * DAY) > 0
    assert world.renewed == [ALL]
    assert pki.read_leaf(world.layout, "etcd").key == key
    assert world.cycle_at(START + 61 * DAY) > 0
    assert world.renewed == []


@pytest.mark.parametrize("jump", [370 * DAY, 5000 * DAY])
def test_a_clock_that_jumps_ahead_renews_once_and_leaves_all_good_when_it_is_back(world: World, jump: float) -> None:
    world.cycle_at(START + jump)
    assert world.renewed == [ALL]
    world.cycle_at(START + jump + 1)
    assert world.renewed == []
    if jump < 400 * DAY:
        own = pki.own_certificates(world.layout, "n1")
        assert all(each.validity.begun < START < each.validity.over for each in own)


@pytest.mark.parametrize("jump", [-370 * DAY, -500 * DAY])
def test_a_clock_that_jumps_back_renews_at_most_once(world: World, jump: float) -> None:
    world.cycle_at(START + jump)
    assert world.renewed == ([] if jump > -400 * DAY else [ALL])
    world.cycle_at(START + jump + 1)
    assert world.renewed == []


def test_a_clock_a_year_ahead_and_then_a_year_behind_leaves_all_good_by_right_clocks(world: World) -> None:
    for moment in (START + 370 * DAY, START - 370 * DAY):
        world.cycle_at(moment)
        assert world.renewed == [ALL]
        own = pki.own_certificates(world.layout, "n1")
        assert all(each.validity.begun < START < each.validity.over for each in own)
        assert {each.name: each for each in own} == world.state.held.all()
    world.cycle_at(START)
    assert world.renewed == [ALL]
    assert {round(each.validity.life) for each in pki.own_certificates(world.layout, "n1")} == {USUAL_LIFE}


def test_without_a_store_they_are_renewed_for_as_long_as_before(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    pki.make_cluster_keys(layout, "lab", "n1", "192.0.2.1", START, life=600)
    assert pki.renew_due(layout, START + DAY) == ALL
    assert {round(each.validity.life) for each in pki.own_certificates(layout, "n1")} == {600}


def test_what_another_authority_has_signed_is_renewed(world: World) -> None:
    other = make_ca("lab", START)
    (world.layout.pki / "ca.crt").write_bytes(other.certificate)
    (world.layout.pki / "ca.key").write_bytes(other.key)
    world.cycle_at(START)
    assert world.renewed == [ALL - {"user"}]
    assert is_issued_by(pki.read_leaf(world.layout, "page").certificate, other.certificate)


def test_it_is_written_down_what_there_is(world: World) -> None:
    world.cycle_at(START)
    assert set(world.state.held.all()) == {f"n1/{use}" for use in ALL}
    user = read_certificate(pki.read_user_keys(world.layout).certificate)
    assert world.state.held.all()["n1/user"].validity == user.validity
