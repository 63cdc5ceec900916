"""Nothing runs twice by itself, whatever breaks and whenever."""

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import Conflict, Unavailable
from appliance.model.container import Container
from appliance.model.job import JobRun
from tests.unit.orchestrator.job_world import World

FIRST_COMMITS = range(1, 7)


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("boundary", FIRST_COMMITS)
def test_a_leader_killed_at_any_commit_never_runs_a_once_job_twice(boundary: int, lost: str) -> None:
    world = World()
    world.store.breaks[boundary] = lost
    world.apply(type="once")
    for step in range(12):
        with suppress(Conflict, Unavailable):
            world.begin_by_rank()
            world.cycle()
        if world.store.commits == boundary:
            world.lead()
        world.obey()
        if step == 6:
            world.finish("shop/report-0")
    assert world.started == ["shop/report-0"]
    assert world.outcomes() == ["succeeded"]


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("boundary", FIRST_COMMITS)
def test_a_leader_killed_at_any_commit_never_runs_a_moment_twice(boundary: int, lost: str) -> None:
    world = World()
    world.store.breaks[boundary] = lost
    world.apply(type="once", schedule="0 10 * * *")
    world.now += 3570
    for step in range(14):
        with suppress(Conflict, Unavailable):
            world.cycle()
        if world.store.commits == boundary:
            world.lead()
        world.obey()
        world.now += 5
        if step == 11:
            world.finish("shop/report-0", exit_code=1)
    assert world.started == ["shop/report-0"]
    assert world.outcomes() == ["failed"]


def test_a_leader_that_was_paused_begins_nothing_more() -> None:
    world = World()
    world.apply(type="once")
    old = world.term
    world.copy.lag()
    world.lead()
    world.term = old
    with pytest.raises(Conflict):
        world.begin_by_rank()
    world.copy.catch_up()
    assert world.runs() == []


def test_a_leader_whose_copy_lags_records_no_run_twice() -> None:
    world = World()
    world.apply(type="once", schedule="0 10 * * *")
    world.cycle()
    world.now += 3600
    world.copy.lag()
    with pytest.raises(Unavailable):
        world.cycle()
    (run,) = world.runs()
    world.now += 30
    with pytest.raises(Conflict):
        world.cycle()
    assert world.runs() == [run]


ACTS = ["cycle", "cycle", "cycle", "obey", "obey", "rank", "lead", "lag", "catch up", "ask", "cancel"]
STEPS = st.one_of(
    st.tuples(st.just("clock"), st.integers(-7200, 10_800)),
    st.tuples(st.just("minute"), st.just(60)),
    st.tuples(st.sampled_from(ACTS), st.just(0)),
    st.tuples(st.sampled_from(["lose request", "lose answer"]), st.integers(1, 3)),
    st.tuples(st.sampled_from(["finish", "run through"]), st.sampled_from([0, 1])),
    st.tuples(st.just("apply"), st.integers(1, 3)),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(STEPS, min_size=20, max_size=80),
    schedule=st.sampled_from(["", "", "0 * * * *", "*/7 * * * *", "30 2 * * *"]),
    overlap=st.sampled_from(["skip", "allow", "replace"]),
    missed=st.sampled_from(["skip", "run"]),
    keep=st.integers(0, 2),
)
def test_no_moment_and_no_once_definition_runs_twice_by_itself(
    steps: list[tuple[str, int]], schedule: str, overlap: str, missed: str, keep: int
) -> None:
    world = World()
    fields = {"type": "once", "schedule": schedule, "overlap": overlap, "missed": missed, "keep": keep}
    world.apply(**fields)
    seen: dict[int, JobRun] = {}
    for what, number in steps:
        with suppress(Conflict, Unavailable):
            _do(world, what, number, fields)
        on_record = {run.number: run for run in world.runs()}
        # A run on record stays the same run; that it is recorded is never undone and done again.
        assert all(seen[each].created_at == run.created_at for each, run in on_record.items() if each in seen)
        seen |= on_record
    moments = Counter(run.due for run in seen.values() if run.due)
    assert set(moments.values()) <= {1}
    by_rank = Counter(run.digest for run in seen.values() if run.reason == "rank")
    assert set(by_rank.values()) <= {1}
    assert set(Counter(world.started).values()) <= {1}


def _do(world: World, what: str, number: int, fields: dict[str, object]) -> None:
    if what in ("clock", "minute"):
        world.now += number
    elif what == "cycle":
        world.cycle()
    elif what == "rank":
        world.begin_by_rank()
    elif what == "lead":
        world.lead()
    elif what == "lag":
        world.copy.lag()
    elif what.startswith("lose"):
        world.store.breaks[world.store.commits + number] = what.removeprefix("lose ")
    else:
        world.copy.catch_up()
        _act(world, what, number, fields)


def _act(world: World, what: str, number: int, fields: dict[str, object]) -> None:
    """What people and nodes do, by what is true rather than by a copy."""
    if what == "obey":
        world.obey()
    elif what == "ask":
        world.ask()
    elif what == "apply":
        world.apply(**fields, container=Container(image=f"a:{number}"))
    elif what == "cancel":
        world.cancel(*(run.number for run in world.runs()))
    elif what == "run through":
        world.begin_by_rank()
        world.settle()
        _act(world, "finish", number, fields)
        world.settle()
    elif what == "finish":
        for name, status in world.state.instance_status.all().items():
            if status.state == "running":
                world.finish(name, number)
