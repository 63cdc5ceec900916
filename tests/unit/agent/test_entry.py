"""The node's entry follows its rules, and neither a bad rule nor a bad configuration takes away a good one."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.agent.entry import BETWEEN, CONFIG, EntryServer, Port, port_in_use
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import ContainerSettings
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.engine.fake_program import PROGRAMS, Process
from appliance.errors import EngineError
from appliance.model.entry import EntryRule, HostCertificate
from appliance.model.instance import Assignment
from tests.unit.agent.node import alone


def rules(*hosts: str) -> tuple[EntryRule, ...]:
    return tuple(EntryRule(service="shop", host=host, backends=()) for host in hosts)


def make(wanted: Sequence[EntryRule], certificates: Mapping[str, str]) -> tuple[Assignment, str]:
    return alone(), " ".join([*(rule.host or f"{rule.port}" for rule in wanted), *certificates.values()])


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "entry"
        self.now = 0.0
        self.broken = False
        self.taken: list[str] = []
        self.used: set[Port] = set()
        self.said: dict[str, str] = {}
        self.engine = FakeEngine({"a": Image("sha256:a")}, {**PROGRAMS, "nginx": self._nginx})
        self.book = AssignmentBook(folder / "assignments")
        self.server = EntryServer(
            self.engine,
            self.book,
            "r",
            make,
            self.folder,
            "nginx",
            self.said.__setitem__,
            self.used.__contains__,
            lambda: self.now,
        )

    def _nginx(self, process: Process) -> int:
        """Refuses what speaks of ``bad``; a reload takes what the configuration says now."""
        text = (self.folder / process.command[2].removeprefix("/config/")).read_text()
        if "reload" in process.command:
            self.taken.append(text)
        return int("bad" in text or self.broken)

    def run_sidecar(self) -> None:
        labels = {ROOT_LABEL: "r", INSTANCE_LABEL: alone().instance}
        self.engine.create(ContainerSettings(name="c", image="a", labels=labels, command=("sleep", "1000")))
        self.engine.start("c")

    def stop_sidecar(self) -> None:
        self.engine.stop("c", 0)
        self.engine.remove("c")

    def follow(self, *wanted: EntryRule, certificates: tuple[HostCertificate, ...] = ()) -> None:
        self.server.update(wanted, certificates)
        self.now += BETWEEN
        self.server.cycle()

    @property
    def config(self) -> str:
        return (self.folder / CONFIG).read_text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def running(world: World) -> World:
    world.follow(*rules("one"))
    world.run_sidecar()
    world.follow(*rules("one"))
    world.taken.clear()
    return world


def port(number: int) -> EntryRule:
    return EntryRule(service="db", backends=(), protocol="tcp", port=number)


def test_the_first_rule_brings_the_sidecar_and_the_last_takes_it_along(world: World) -> None:
    world.server.cycle()
    assert world.book.all() == {}
    world.follow(*rules("one"))
    assert list(world.book.all()) == [alone().instance]
    world.follow()
    assert world.book.all() == {}


def test_nothing_is_in_force_that_the_running_sidecar_has_not_tried(world: World) -> None:
    world.follow(*rules("one"))
    assert world.config == ""
    world.run_sidecar()
    world.follow(*rules("one"))
    assert world.config == "one" and world.taken == ["one"]


def test_a_running_sidecar_takes_new_rules_without_a_restart(running: World) -> None:
    running.follow(*rules("one", "two"))
    running.follow(*rules("one", "two"))
    assert running.taken == ["one two"]


def test_a_rule_that_is_refused_is_left_out_and_the_others_are_served(running: World) -> None:
    running.follow(*rules("one", "two", "bad", "three", "four"))
    assert running.taken == ["one two three four"]
    assert "rule bad/ is left out" in running.said[alone().instance]
    running.follow(*rules("one", "two"))
    assert running.said[alone().instance] == ""


def test_a_sidecar_that_refuses_everything_keeps_what_it_has(running: World) -> None:
    running.broken = True
    with pytest.raises(EngineError, match="last good one"):
        running.follow(*rules("one", "two"))
    assert running.config == "one"
    running.broken = False
    running.follow(*rules("one", "two"))
    assert running.taken == ["one two"]


def test_reloads_keep_a_distance_and_the_last_rules_win(running: World) -> None:
    running.follow(*rules("two"))
    running.server.update(rules("three"), None)
    assert running.server.cycle() == BETWEEN
    running.server.update(rules("four"), None)
    running.now += BETWEEN
    running.server.cycle()
    assert running.taken == ["two", "four"]


def test_a_rule_for_a_port_that_somebody_has_is_left_out(running: World) -> None:
    running.used.add(("tcp", 5432))
    running.follow(*rules("one"), port(5432), port(5433))
    assert running.taken == ["one 5433"]
    assert "another program" in running.said[alone().instance]
    running.used |= {("tcp", 5433)}  # by the sidecar itself
    running.follow(*rules("two"), port(5433))
    assert running.taken[-1] == "two 5433"


def test_a_sidecar_that_starts_again_leaves_out_a_port_that_was_taken_meanwhile(running: World) -> None:
    running.follow(*rules("one"), port(5432))
    running.stop_sidecar()
    running.used.add(("tcp", 5432))
    running.follow(*rules("one"), port(5432))
    assert running.config == "one"


def test_a_certificate_lies_in_a_file_that_only_root_reads_until_another_takes_its_place(running: World) -> None:
    def files() -> list[Path]:
        return list((running.folder / "certificates").iterdir())

    running.follow(*rules("one"), certificates=(HostCertificate(host="*.one", chain="C", key="K"),))
    (first,) = files()
    assert first.read_text() == "CK" and first.stat().st_mode & 0o777 == 0o600
    assert str(first.relative_to(running.folder)) in running.taken[-1]
    running.follow(*rules("one"), certificates=(HostCertificate(host="*.one", chain="D", key="K"),))
    (second,) = files()
    assert second.read_text() == "DK" and len(running.taken) == 2
    running.follow()
    assert files() == []


def test_a_port_of_the_host_is_seen_to_be_in_use() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        number = listening.getsockname()[1]
        listening.listen()
        assert port_in_use(("tcp", number))
    assert not port_in_use(("tcp", number))
