"""A manager shows that it is there, and knows whether its copy of the store is fresh."""

from collections.abc import Iterator

import pytest

from appliance.errors import StoreUnavailable
from appliance.model.manager import Alive
from appliance.store import keys
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.presence import DEAF_AFTER, LEASE_SECONDS, STALE_AFTER, Presence
from appliance.store.state import State


class Watched:
    def __init__(self) -> None:
        self.heard = 0.0


class OutStore(MemoryStore):
    """One that is out while `out`."""

    out = False

    def renew(self, lease: int) -> bool:
        if self.out:
            raise StoreUnavailable("The store is out.")
        return super().renew(lease)


class House:
    def __init__(self) -> None:
        self.now = 100.0
        self.store = OutStore(lambda: self.now)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.mirror.start()
        self.state = State(self.mirror)
        self.watched = Watched()
        self.presence = Presence(self.store, self.watched, Alive(id="m1", run="r"), lambda: self.now)

    def there(self) -> bool:
        return self.store.get(keys.ALIVE + "m1") is not None

    def cycle(self, *, heard: bool = True) -> None:
        self.presence.cycle()
        if heard:
            self.watched.heard = self.now


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.mirror.stop()


def test_it_is_there_as_long_as_it_renews_and_a_little_longer(house: House) -> None:
    house.cycle()
    for _ in range(5):
        house.now += LEASE_SECONDS - 1
        assert house.there()
        house.cycle()
    house.now += LEASE_SECONDS
    assert not house.there()
    house.cycle()
    assert house.there()


def test_who_stops_is_gone_at_once(house: House) -> None:
    house.cycle()
    house.presence.stop()
    assert not house.there()


def test_a_copy_is_fresh_while_the_store_and_the_watch_answer(house: House) -> None:
    for _ in range(3):
        house.cycle()
        assert house.presence.fresh()
        house.now += STALE_AFTER - 1
        assert house.presence.fresh()


def test_without_the_quorum_or_without_the_watch_it_is_stale(house: House) -> None:
    house.cycle()
    house.now += STALE_AFTER
    assert not house.presence.fresh()
    house.cycle()
    assert house.presence.fresh()
    while house.now - house.watched.heard < DEAF_AFTER:
        assert house.presence.fresh()
        house.now += 1
        house.cycle(heard=False)
    assert not house.presence.fresh()
    house.cycle()
    house.store.out = True
    house.now += STALE_AFTER
    house.watched.heard = house.now
    with pytest.raises(StoreUnavailable):
        house.presence.cycle()
    assert not house.presence.fresh()
