"""How an image gets into a node's engine: from the package, from the cluster's registry, or not at all."""

import queue
import threading
from collections.abc import Callable

import pytest

from appliance.agent.images import PULLS, EngineImages
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.errors import ApplianceError, EngineError
from appliance.model.container import Container
from appliance.model.instance import PlannedContainer
from tests.lab.waiting import eventually
from tests.unit.agent.package import PAUSE_ID, Package


class NotAPackage(Package):
    def load(self, name: str) -> None:
        raise OSError("Input/output error")


def _planned(image: str, image_id: str = "", pull: str = "") -> PlannedContainer:
    return PlannedContainer(name="main", spec=Container(image=image), image_id=image_id, pull=pull)


def _bring(images: EngineImages, planned: PlannedContainer) -> ApplianceError | None:
    answers: queue.SimpleQueue[ApplianceError | None] = queue.SimpleQueue()
    images.bring(planned, answers.put)
    return answers.get(timeout=20)


PAUSE = _planned("appliance/pause:1")
FETCHED = _planned("shop/web:1", "sha256:web", "127.0.0.1:5000/shop/web@sha256:9")


def _web(reference: str) -> Image:
    return Image("sha256:web")


def test_an_image_of_the_package_is_loaded_from_it_once() -> None:
    engine = FakeEngine({})
    package = Package(engine)
    images = EngineImages(engine, package)
    assert images.find(PAUSE) is None
    assert _bring(images, PAUSE) is None
    assert images.find(PAUSE) == PAUSE_ID
    assert _bring(images, PAUSE) is None
    assert package.loads == 1


def test_an_image_that_the_engine_has_is_neither_loaded_nor_pulled() -> None:
    engine = FakeEngine({"shop/web:1": Image("sha256:web")})
    images = EngineImages(engine, Package(engine))
    for planned in (_planned("shop/web:1"), _planned("other/name", "sha256:web"), FETCHED):
        assert images.find(planned) == "sha256:web"
        assert _bring(images, planned) is None


def test_another_image_of_the_same_name_is_not_the_one_wanted() -> None:
    engine = FakeEngine({"shop/web:1": Image("sha256:older")}, registry=_web)
    images = EngineImages(engine, Package(engine))
    assert images.find(FETCHED) is None
    assert _bring(images, FETCHED) is None
    assert images.find(FETCHED) == "sha256:web"


def test_an_engine_whose_ids_are_not_configurations_finds_images_by_name() -> None:
    engine = FakeEngine({}, registry=lambda reference: Image("sha256:manifest"), containerd_images=True)
    package = Package(engine)
    images = EngineImages(engine, package)
    for planned in (PAUSE, FETCHED):
        assert images.find(planned) is None
        assert _bring(images, planned) is None
        assert images.find(planned) not in (None, planned.image_id, PAUSE_ID)
    assert package.loads == 1


def test_an_image_from_the_registry_is_pulled_by_its_digest() -> None:
    asked: list[str] = []

    def registry(reference: str) -> Image:
        asked.append(reference)
        return Image("sha256:web")

    engine = FakeEngine({}, registry=registry)
    images = EngineImages(engine, Package(engine))
    assert _bring(images, FETCHED) is None
    assert asked == ["127.0.0.1:5000/shop/web@sha256:9"]


@pytest.mark.parametrize(
    ("planned", "make", "says"),
    [
        pytest.param(_planned("shop/web:1"), Package, "no image shop/web:1", id="nowhere"),
        pytest.param(FETCHED, Package, "there is no registry", id="no registry"),
        pytest.param(_planned("appliance/none:1"), Package, "package has no image", id="not in the package"),
        pytest.param(PAUSE, lambda engine: Package(engine, "sha256:other"), "another image", id="another image"),
        pytest.param(PAUSE, NotAPackage, "Input/output error", id="unreadable package"),
    ],
)
def test_an_image_that_cannot_be_had_says_why(
    planned: PlannedContainer, make: Callable[[FakeEngine], Package], says: str
) -> None:
    engine = FakeEngine({})
    images = EngineImages(engine, make(engine))
    assert images.find(planned) is None
    failure = _bring(images, planned)
    assert failure is not None and says in f"{failure.what} {failure.why}"


def test_a_failure_is_told_to_all_who_wait_and_the_next_one_tries_anew() -> None:
    slow, tries = threading.Event(), 0

    def registry(reference: str) -> Image:
        nonlocal tries
        tries += 1
        assert slow.wait(20)
        if tries == 1:
            raise EngineError("The network broke off.")
        return Image("sha256:web")

    engine = FakeEngine({}, registry=registry)
    images = EngineImages(engine, Package(engine))
    answers: list[ApplianceError | None] = []
    for _ in range(3):
        images.bring(FETCHED, answers.append)
    slow.set()
    eventually(lambda: len(answers) == 3, 20, every=0.01)
    assert [answer and answer.what for answer in answers] == ["The network broke off."] * 3
    assert _bring(images, FETCHED) is None
    assert tries == 2


def test_pulls_are_few_at_a_time_and_the_package_does_not_wait_for_them() -> None:
    under_way, slow, asked = threading.Semaphore(0), threading.Event(), []

    def registry(reference: str) -> Image:
        asked.append(reference)
        under_way.release()
        assert slow.wait(20)
        return Image(f"sha256:{reference}")

    engine = FakeEngine({}, registry=registry)
    images = EngineImages(engine, Package(engine))
    answers: list[ApplianceError | None] = []
    many = [_planned(f"shop/web:{n}", pull=f"127.0.0.1:5000/shop/web@sha256:{n}") for n in range(PULLS + 2)]
    for planned in many:
        images.bring(planned, answers.append)
    for _ in range(PULLS):
        assert under_way.acquire(timeout=20)
    assert _bring(images, PAUSE) is None
    assert len(asked) == PULLS
    slow.set()
    eventually(lambda: answers == [None] * len(many), 20, every=0.01)
