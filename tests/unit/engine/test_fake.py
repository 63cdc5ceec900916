"""What the fake engine offers beyond the engine's contract."""

import pytest

from appliance.engine.engine import ContainerSettings
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from appliance.engine.fake_program import PROGRAMS, Process
from appliance.errors import EngineError, EngineUnavailable
from tests.lab.waiting import eventually

BUSYBOX = Image("sha256:1")
SLEEPER = ContainerSettings(name="sleeper", image="busybox", labels={"a": "b"})


def test_an_engine_that_is_away_refuses_calls_and_breaks_its_events_but_its_containers_run_on() -> None:
    engine = FakeEngine({"busybox": BUSYBOX})
    engine.create(SLEEPER)
    engine.start("sleeper")
    before = engine.inspect("sleeper")
    events = engine.events({})
    with engine.away():
        with pytest.raises(EngineUnavailable):
            list(events)
        with pytest.raises(EngineUnavailable):
            engine.list({})
    assert engine.inspect("sleeper") == before


def test_a_program_of_a_test_runs_with_what_its_container_is_made_of() -> None:
    def greet(process: Process) -> None:
        process.print(f"{process.settings.name}: {process.env['GREETING']} {' '.join(process.command[1:])}")

    engine = FakeEngine({"busybox": BUSYBOX}, {**PROGRAMS, "greet": greet})
    engine.create(SLEEPER)
    engine.start("sleeper")
    session = engine.open_exec("sleeper", ("greet", "the", "world"), terminal=True, env={"GREETING": "hello"})
    assert session.read() == ("stdout", b"sleeper: hello the world\n")


def test_a_program_that_raises_ends_with_1() -> None:
    def broken(process: Process) -> None:
        raise RuntimeError("on purpose")

    engine = FakeEngine({"busybox": BUSYBOX}, {**PROGRAMS, "broken": broken})
    engine.create(SLEEPER)
    engine.start("sleeper")
    assert engine.execute("sleeper", ("broken",), 10).exit_code == 1


def test_a_shell_script_that_nobody_gave_it_is_not_pretended() -> None:
    engine = FakeEngine({"busybox": BUSYBOX})
    engine.create(SLEEPER)
    engine.start("sleeper")
    done = engine.execute("sleeper", ("sh", "-c", "rm -rf /"), 10)
    assert done.exit_code == 127 and b"give it a program" in done.output


def test_a_registry_answers_pulls_outside_of_the_engines_turn() -> None:
    asked: list[str] = []

    def registry(reference: str) -> Image:
        asked.append(reference)
        if "none" in reference:
            raise EngineError(f"no {reference}")
        assert engine.image_id("busybox") == BUSYBOX.id
        return Image("sha256:2")

    engine = FakeEngine({"busybox": BUSYBOX}, registry=registry)
    engine.pull("shop/web@sha256:9")
    assert engine.image_id("shop/web@sha256:9") == "sha256:2"
    with pytest.raises(EngineError, match="no shop/none"):
        engine.pull("shop/none@sha256:9")
    assert asked == ["shop/web@sha256:9", "shop/none@sha256:9"]


def test_what_a_program_does_after_it_was_killed_is_not_seen() -> None:
    went_on: list[str] = []

    def stubborn(process: Process) -> int:
        try:
            process.wait(100)
        finally:
            went_on.append("")
        return 0

    engine = FakeEngine({"busybox": BUSYBOX}, {**PROGRAMS, "stubborn": stubborn})
    engine.create(ContainerSettings(name="stubborn", image="busybox", labels={}, command=("stubborn",)))
    engine.start("stubborn")
    engine.stop("stubborn", 10.0)
    state = engine.inspect("stubborn")
    assert state is not None and (state.state, state.exit_code) == ("exited", 137)
    eventually(lambda: went_on, 30)
    assert engine.inspect("stubborn") == state
