"""Instances whose images are not there yet: what is told of them, and that nothing else waits for them."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from appliance.agent.turns import WORKERS
from appliance.engine.container import PAUSE
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.errors import EngineError
from appliance.model.instance import Assignment
from tests.unit.agent.node import FUNCTIONS, IMAGE, NETWORK, Node, alone, eventually, group, pulled
from tests.unit.agent.package import Package


@dataclass
class Registry:
    """A registry behind a slow network: an answer takes until `open` is set. `known` is what it has."""

    known: tuple[str, ...] = ("shop/web:1", "shop/log:1")
    open: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def __call__(self, reference: str) -> Image:
        self.asked.append(reference)
        assert self.open.wait(60)
        if not any(f"/{name}@" in reference for name in self.known):
            raise EngineError(f"No {reference}.", why="the registry has none")
        return Image(f"sha256:of-{reference}")


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.open.set()


@pytest.fixture
def node(registry: Registry, tmp_path: Path) -> Iterator[Node]:
    made = Node(FakeEngine({IMAGE: Image("sha256:b")}, FUNCTIONS, registry), tmp_path)
    made.engine.ensure_network(NETWORK)
    yield made
    made.clean()


def _fetching(image: str = "shop/web:1", index: int = 1) -> Assignment:
    return msgspec.structs.replace(alone(index=index), containers=(pulled("main", image),))


def test_an_instance_whose_image_is_brought_is_preparing_and_says_which(node: Node, registry: Registry) -> None:
    with node.supervised() as book:
        book.put(_fetching())
        eventually(lambda: node.state() == "preparing")
        assert node.message() == "bringing shop/web:1"
        assert node.find() is None
        registry.open.set()
        assert eventually(node.running).image_id == "sha256:of-127.0.0.1:5000/shop/web:1@sha256:9"
        eventually(lambda: (node.state(), node.message()) == ("running", ""))


def test_for_an_image_that_is_there_nothing_is_asked(node: Node, registry: Registry) -> None:
    there = msgspec.structs.replace(pulled("main", "shop/web:1"), image_id="sha256:b")
    with node.supervised() as book:
        book.put(msgspec.structs.replace(alone(), containers=(there,)))
        eventually(node.running)
    assert registry.asked == []


def test_however_many_wait_for_images_all_others_are_looked_after(node: Node, registry: Registry) -> None:
    waiting = [_fetching(f"shop/web:{n}", n) for n in range(2, WORKERS * 3)]
    with node.supervised() as book:
        for assignment in waiting:
            book.put(assignment)
        eventually(lambda: all(node.state(a.instance) == "preparing" for a in waiting))
        book.put(alone())
        before = eventually(node.running)
        node.engine.stop(before.name, 0)
        eventually(lambda: node.running().started_at != before.started_at)


def test_instances_that_wait_for_the_same_image_fetch_it_once(node: Node, registry: Registry) -> None:
    many = [_fetching(index=n) for n in range(1, 6)]
    with node.supervised() as book:
        for assignment in many:
            book.put(assignment)
        eventually(lambda: all(node.state(a.instance) == "preparing" for a in many))
        registry.open.set()
        eventually(lambda: all(node.state(a.instance) == "running" for a in many))
    assert len(registry.asked) == 1


def test_an_image_that_cannot_be_had_is_asked_for_again_later_and_says_why(node: Node, registry: Registry) -> None:
    registry.known = ()
    registry.open.set()
    with node.supervised() as book:
        book.put(_fetching())
        eventually(lambda: node.state() == "backoff" and "the registry has none" in node.message())
        registry.known = ("shop/web:1",)
        eventually(node.running)
        eventually(lambda: node.message() == "")


def test_what_is_no_longer_wanted_goes_without_waiting_for_its_image(node: Node, registry: Registry) -> None:
    with node.supervised() as book:
        book.put(_fetching())
        eventually(lambda: node.state() == "preparing")
        book.put(msgspec.structs.replace(_fetching(), desired="removed"))
        eventually(lambda: node.state() == "removed")


def test_another_image_wanted_meanwhile_neither_waits_for_the_first_nor_suffers_from_it(
    node: Node, registry: Registry
) -> None:
    with node.supervised() as book:
        book.put(_fetching("shop/none:1"))
        eventually(lambda: node.state() == "preparing")
        book.put(alone())
        before = eventually(node.running)
        registry.open.set()
        eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("image ")])
        book.put(msgspec.structs.replace(alone(), revision=2))
        eventually(lambda: node.reported["shop/web-1"].revision == 2)
        assert (node.running(), node.reported["shop/web-1"].restarts, node.message()) == (before, 0, "")


def test_the_rest_of_a_group_runs_while_one_image_is_brought(node: Node, registry: Registry) -> None:
    there = msgspec.structs.replace(pulled("log", "x"), pull="", spec=alone().containers[0].spec)
    with node.supervised() as book:
        book.put(group(pulled("main", "shop/web:1"), there))
        eventually(lambda: node.running(PAUSE) and node.running("log"))
        eventually(lambda: (node.state(), node.message()) == ("preparing", "bringing shop/web:1"))
        before = node.running("log")
        node.engine.stop(before.name, 0)
        eventually(lambda: node.running("log").started_at != before.started_at)
        registry.open.set()
        eventually(lambda: node.running("main") and node.state() == "running")


class SlowPackage(Package):
    """Its disk takes until `read` is set."""

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(engine)
        self.read = threading.Event()

    def load(self, name: str) -> None:
        assert self.read.wait(60)
        super().load(name)


def test_nothing_of_a_group_is_created_before_the_image_that_holds_its_network(tmp_path: Path) -> None:
    engine = FakeEngine({IMAGE: Image("sha256:b")}, {**FUNCTIONS, "catatonit": lambda process: process.wait(1000)})
    engine.ensure_network(NETWORK)
    package = SlowPackage(engine)
    node = Node(engine, tmp_path, package)
    with node.supervised() as book:
        book.put(group())
        eventually(lambda: (node.state(), node.message()) == ("preparing", "bringing appliance/pause"))
        assert engine.list({}) == []
        package.read.set()
        eventually(lambda: [node.running(name) for name in (PAUSE, "main", "log")])
    node.clean()


def test_a_stopped_supervisor_is_not_held_up_by_an_image(node: Node, registry: Registry) -> None:
    with node.supervised() as book:
        book.put(_fetching())
        eventually(lambda: node.state() == "preparing")
    assert not registry.open.is_set()
    registry.open.set()
    with node.supervised():
        eventually(node.running)


def test_what_runs_goes_on_until_the_image_of_its_update_is_there(node: Node, registry: Registry) -> None:
    with node.supervised() as book:
        book.put(alone())
        before = eventually(node.running)
        eventually(lambda: node.reported["shop/web-1"].ready)
        book.put(msgspec.structs.replace(_fetching(), revision=2))
        eventually(lambda: node.message() == "bringing shop/web:1")
        told = node.reported["shop/web-1"]
        assert (told.state, told.ready) == ("running", True)
        assert told.revision == 1, "what runs is not the update yet, and nobody may take it for complete"
        node.engine.stop(before.name, 0)
        eventually(lambda: node.running().started_at != before.started_at)
        assert node.running().id == before.id, "it is looked after meanwhile"
        registry.open.set()
        assert eventually(lambda: node.running().image_id != before.image_id)
        eventually(lambda: (node.state(), node.message()) == ("running", ""))
        assert node.reported["shop/web-1"].revision == 2


def test_an_update_whose_image_cannot_be_had_leaves_what_runs_alone(node: Node, registry: Registry) -> None:
    registry.known = ()
    registry.open.set()
    with node.supervised() as book:
        book.put(alone())
        before = eventually(node.running)
        book.put(_fetching())
        eventually(lambda: node.reported["shop/web-1"].failures >= 2)
        assert "the registry has none" in node.message() and node.state() == "running"
        assert node.running() == before
        registry.known = ("shop/web:1",)
        eventually(lambda: node.running().id != before.id)
        eventually(lambda: node.reported["shop/web-1"].failures == 0)
