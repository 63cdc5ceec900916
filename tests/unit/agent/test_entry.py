"""The node's entry follows its rules, and a bad configuration never replaces a good one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.agent.entry import CONFIG, EntryServer
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import ContainerSettings
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.engine.fake_program import PROGRAMS, Process
from appliance.errors import EngineError
from appliance.model.entry import EntryRule
from appliance.model.instance import Assignment
from tests.unit.agent.node import alone


def rules(*hosts: str) -> tuple[EntryRule, ...]:
    return tuple(EntryRule(service="shop", host=host, path="/", backends=()) for host in hosts)


def make(wanted: Sequence[EntryRule]) -> tuple[Assignment, str]:
    return alone(), " ".join(rule.host for rule in wanted)


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "entry"
        self.taken: list[str] = []
        self.engine = FakeEngine({"a": Image("sha256:a")}, {**PROGRAMS, "nginx": self._nginx})
        self.book = AssignmentBook(folder / "assignments")
        self.server = EntryServer(self.engine, self.book, "r", make, self.folder, "nginx")

    def _nginx(self, process: Process) -> int:
        """Refuses what speaks of ``bad``; a reload takes what the configuration says now."""
        text = (self.folder / process.command[2].removeprefix("/config/")).read_text()
        if "reload" in process.command:
            self.taken.append(text)
        return int("bad" in text)

    def run_sidecar(self) -> None:
        labels = {ROOT_LABEL: "r", INSTANCE_LABEL: alone().instance}
        self.engine.create(ContainerSettings(name="c", image="a", labels=labels, command=("sleep", "1000")))
        self.engine.start("c")

    def follow(self, *hosts: str) -> None:
        self.server.update(rules(*hosts))
        self.server.cycle()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_first_rule_brings_the_sidecar_and_the_last_takes_it_along(world: World) -> None:
    world.server.cycle()
    assert world.book.all() == {}
    world.follow("one")
    assert list(world.book.all()) == [alone().instance]
    world.follow()
    assert world.book.all() == {}


def test_a_running_sidecar_takes_new_rules_without_a_restart(world: World) -> None:
    world.follow("one")
    world.run_sidecar()
    world.follow("one", "two")
    world.follow("one", "two")
    assert world.taken == ["one two"]


def test_a_configuration_that_is_refused_leaves_the_last_good_one(world: World) -> None:
    world.follow("one")
    world.run_sidecar()
    with pytest.raises(EngineError):
        world.follow("bad")
    assert (world.folder / CONFIG).read_text() == "one"
    assert world.taken == []
    world.follow("two")
    assert world.taken == ["two"]
