"""Every manager's registry comes to hold every image, and loses those that were removed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.delivery.image_copies import LOOK_AGAIN, ImageCopies, Paced
from appliance.errors import LinkDown
from appliance.model.cluster import Image
from appliance.model.manager import Alive
from appliance.store import keys
from tests.unit.delivery.registry_in_memory import RegistryInMemory, digest
from tests.unit.link.cluster_in_memory import ClusterInMemory

LAYERS = (b"one" * 1000, b"two" * 1000)


class House:
    """Managers `m1` to `m3`, of which `m1` is the one that copies; who is in `cut` is not reached."""

    def __init__(self, folder: Path) -> None:
        self.cluster = ClusterInMemory(nodes=0)
        self.state = self.cluster.state
        self.registries = {name: RegistryInMemory() for name in ("m1", "m2", "m3")}
        self.own = self.registries["m1"]
        self.cut: set[str] = set()
        self.file = folder / "known-images.json"
        for name in self.registries:
            self.cluster.commit(self.state.alive.put(name, Alive(id=name, run="r")))
        self.start()

    def start(self) -> None:
        """The manager starts anew."""
        self.copies = ImageCopies(self.state, "m1", self._reach, self.file, self.own.address)

    @contextmanager
    def _reach(self, manager: str) -> Iterator[str]:
        if manager in self.cut:
            raise LinkDown("The node is not connected to this manager.")
        yield self.registries[manager].address

    def load(self, manager: str, reference: str = "shop/web:1", layers: tuple[bytes, ...] = LAYERS) -> str:
        found = self.registries[manager].hold(*layers)
        name = reference.partition(":")[0]
        image = Image(
            reference=reference,
            id="sha256:1",
            pull=f"127.0.0.1:5000/{name}@{found}",
            architecture="amd64",
            size=1,
            loaded_at="",
        )
        self.cluster.commit(self.state.images.put(reference, image))
        return found

    def remove(self, reference: str = "shop/web:1") -> None:
        self.cluster.commit(self.state.images.delete(reference))

    def close(self) -> None:
        self.cluster.mirror.stop()
        for registry in self.registries.values():
            registry.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def test_an_image_that_was_loaded_at_another_manager_is_copied_whole_and_once(house: House) -> None:
    found = house.load("m2")
    assert house.copies.cycle() is None
    assert house.own.manifests.keys() == {found}
    assert set(LAYERS) <= set(house.own.blobs.values())
    house.own.asked.clear()
    house.copies.cycle()
    assert house.own.asked == []


def test_it_is_copied_from_whoever_has_it_and_can_be_reached(house: House) -> None:
    found = house.load("m3")
    house.cut = {"m2", "m3"}
    assert house.copies.cycle() == LOOK_AGAIN
    house.cut = {"m2"}
    assert house.copies.cycle() is None
    assert found in house.own.manifests


def test_what_was_loaded_here_is_left_alone(house: House) -> None:
    house.load("m1")
    house.copies.cycle()
    assert [asked.partition(" ")[0] for asked in house.own.asked] == ["HEAD"]
    assert not house.registries["m2"].asked


def test_a_copy_that_broke_off_goes_on_with_the_layer_at_which_it_did(house: House) -> None:
    found, other = house.load("m2"), house.registries["m2"]
    other.broken.add(digest(LAYERS[1]))
    assert house.copies.cycle() == LOOK_AGAIN
    assert found not in house.own.manifests
    other.broken, other.short = set(), other.broken
    assert house.copies.cycle() == LOOK_AGAIN
    assert found not in house.own.manifests
    other.short.clear()
    other.asked.clear()
    assert house.copies.cycle() is None
    assert found in house.own.manifests
    assert [asked for asked in other.asked if digest(LAYERS[0]) in asked] == []


def test_a_registry_that_lost_its_data_gets_it_again_after_a_start(house: House) -> None:
    found = house.load("m2")
    house.copies.cycle()
    house.own.manifests.clear()
    house.own.blobs.clear()
    house.start()
    house.copies.cycle()
    assert found in house.own.manifests


def test_an_image_that_is_removed_goes_also_where_nobody_ran_then(house: House) -> None:
    first, second = house.load("m2"), house.load("m2", "shop/db:1", (b"db",))
    house.copies.cycle()
    house.remove()
    house.copies.cycle()
    assert house.own.manifests.keys() == {second}
    house.remove("shop/db:1")
    house.start()
    house.copies.cycle()
    assert first not in house.own.manifests and house.own.manifests == {}


def test_an_image_under_two_names_stays_until_both_are_removed(house: House) -> None:
    found = house.load("m2")
    known = house.state.images.all()["shop/web:1"]
    house.cluster.commit(house.state.images.put("shop/web:2", known))
    house.copies.cycle()
    house.remove()
    house.copies.cycle()
    assert found in house.own.manifests


def test_an_image_stays_as_long_as_a_revision_was_accepted_with_it(house: House) -> None:
    first = house.load("m2")
    revision = house.state.revision("s", 1)
    assert revision
    accepted = replace(revision, images=house.state.images.all())
    house.cluster.commit(house.state.revisions.put(keys.revision_name("s", 1), accepted))
    second = house.load("m3", layers=(b"newer",))
    house.copies.cycle()
    house.remove()
    house.copies.cycle()
    assert house.own.manifests.keys() == {first}
    assert second not in house.own.manifests


def test_a_push_that_is_not_known_yet_is_not_taken_for_one_that_was_removed(house: House) -> None:
    found = house.own.hold(*LAYERS)
    house.copies.cycle()
    assert found in house.own.manifests


def test_a_stream_is_no_faster_than_its_pace_and_ends_when_the_manager_does() -> None:
    stopping = threading.Event()

    class Stream:
        def read(self, size: int = -1, /) -> bytes:
            return b"x" * size

    paced = Paced(Stream(), 4000, stopping, rate=10_000)
    began = time.monotonic()
    assert len(paced.read(2000)) == 2000
    assert time.monotonic() - began >= 0.19
    stopping.set()
    with pytest.raises(InterruptedError):
        paced.read(1)
