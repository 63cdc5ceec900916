"""A rollout: when it is done, when it has failed, and how a service goes back."""

import pytest

from appliance.model.service import Rollout
from appliance.orchestrator.rollout import next_look
from tests.unit.orchestrator.stage import BAD, Stage, deploy, job, names, spec


def stage_at(*parts: object, **fields: object) -> Stage:
    """A stage on which this service is complete."""
    stage = Stage()
    stage.apply(spec(*parts, **fields))  # type: ignore[arg-type]
    stage.settle()
    return stage


def state_of(stage: Stage) -> tuple[int, str, int]:
    assert stage.rollout is not None
    return stage.rollout.revision, stage.rollout.state, stage.rollout.previous


def test_it_is_done_when_every_rank_is_complete() -> None:
    stage = Stage()
    stage.apply(spec(deploy("db"), deploy("web", 1)))
    stage.step()
    assert state_of(stage) == (1, "running", 0)
    stage.settle()
    assert stage.rollout == Rollout(service="s", revision=1, state="done", started_at="now", ended_at="now")


def test_the_last_complete_revision_is_the_one_to_go_back_to() -> None:
    stage = stage_at(deploy("web"))
    stage.apply(spec(deploy("web", image=BAD)))
    stage.settle()
    stage.apply(spec(deploy("web", image="a:3")))
    stage.settle()
    assert state_of(stage) == (3, "done", 1)


def test_an_instance_that_fails_too_often_fails_the_rollout() -> None:
    stage = stage_at(deploy("web"), rollout={"tries": 3})
    stage.apply(spec(deploy("web", image=BAD), rollout={"tries": 3}))
    stage.settle()
    assert state_of(stage) == (2, "failed", 1)
    assert stage.rollout and stage.rollout.reason == ("rank 0: s/web-0 failed 3 times in a row: main ended with code 3")


def test_a_job_that_fails_fails_the_rollout() -> None:
    stage = stage_at(deploy("web"))
    stage.apply(spec(deploy("web", image="a:2"), job("migrate", 1, BAD)))
    stage.settle()
    assert state_of(stage) == (2, "failed", 1)
    assert stage.rollout and stage.rollout.reason == "rank 1: job s/migrate/1 failed: it ended with code 1"
    assert stage.revision_of("s/web-0") == [1]


def test_no_progress_until_the_deadline_fails_the_rollout() -> None:
    stage = stage_at(deploy("web"))
    stage.apply(spec(deploy("web", image="a:2"), rollout={"deadline": 60}))
    stage.step()
    stage.idle = 60.0
    stage.step()
    assert state_of(stage) == (2, "failed", 1)
    assert stage.rollout and stage.rollout.reason == "rank 0: no progress for 60 seconds: s/web-0 is not ready"


@pytest.mark.parametrize("held", ["paused", "halted", "unreachable", "depends"])
def test_time_does_not_count_while_others_are_waited_for(held: str) -> None:
    stage = stage_at(deploy("web"))
    stage.apply(spec(deploy("web", image="a:2")))
    stage.step()
    stage.idle = 10_000.0
    if held == "unreachable":
        stage.away = {stage.bindings["s/web-0"]: 1.0}
    elif held == "depends":
        stage.waits_for = ("dbs",)
    else:
        stage.want(**{held: True})
    stage.step()
    assert stage.rollout and stage.rollout.state != "failed"


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_failure_at_any_rank_puts_back_what_changed_and_leaves_the_rest_alone(rank: int) -> None:
    images = ["a:1", "a:1", "a:1"]
    stage = stage_at(*(deploy(f"d{n}", n, 2, image) for n, image in enumerate(images)), deploy("same", 1))
    before = dict(stage.instances)
    images = ["a:2", "a:2", "a:2"]
    images[rank] = BAD
    stage.apply(spec(*(deploy(f"d{n}", n, 2, image) for n, image in enumerate(images)), deploy("same", 1)))
    stage.settle()
    assert state_of(stage) == (2, "failed", 1)
    assert stage.instances == before
    touched = {name for name in names(stage.log) if "-" in name and name.startswith("s/d")}
    assert touched >= {f"s/d{rank}-0"}
    assert names(stage.log).count("s/same-0") == 1


def test_a_service_goes_back_from_the_highest_rank_down() -> None:
    stage = stage_at(deploy("db"), deploy("web", 1), deploy("top", 2))
    stage.apply(spec(deploy("db", image="a:2"), deploy("web", 1, image="a:2"), deploy("top", 2, image=BAD)))
    stage.settle()
    assert names(stage.log)[-3:] == ["s/top-0", "s/web-0", "s/db-0"]


def test_a_node_that_cannot_be_reached_does_not_keep_a_service_from_going_back() -> None:
    stage = stage_at(deploy("db"))
    stage.apply(spec(deploy("db", image="a:2"), deploy("new", 1), deploy("bad", 2, image=BAD)))
    while not stage.rollout or stage.rollout.state != "failed":
        stage.step()
        stage.bind()
        stage.obey()
    stage.bindings["s/new-0"] = "n2"
    stage.away = {"n2": 1.0}
    stage.settle()
    assert stage.revision_of("s/db-0") == [1]
    assert stage.instances["s/new-0"].desired == "removed"


def test_a_stopped_instance_does_not_keep_the_others_from_going_back() -> None:
    stage = stage_at(deploy("web", 0, 2), rollout={"tries": 2})
    stage.apply(spec(deploy("web", every_node=True), deploy("bad", 1, image=BAD), rollout={"tries": 2}))
    stage.want(generation=1)
    stage.settle()
    assert stage.revision_of("s/web-0", "s/web-1") == [1, 1]
    assert {each.desired for each in stage.instances.values()} == {"running"}


def test_what_a_failed_revision_added_is_removed_and_what_it_dropped_was_never_touched() -> None:
    stage = stage_at(deploy("old"))
    stage.apply(spec(deploy("new"), deploy("web", 1, image=BAD)))
    stage.settle()
    assert sorted(stage.instances) == ["s/old-0"]
    assert names(stage.log).count("s/old-0") == 1


def test_with_pause_as_policy_everything_stays_as_it_failed() -> None:
    stage = stage_at(deploy("web", 0, 4))
    policy = {"on_failure": "pause", "tries": 2}
    stage.apply(spec(deploy("web", 0, 4, BAD), rollout=policy))
    for _ in range(8):
        stage.step()
        stage.obey()
    assert state_of(stage) == (2, "failed", 1)
    assert stage.revision_of("s/web-0", "s/web-1") == [2, 1]


def test_a_first_deploy_that_fails_stays_and_is_done_when_it_comes_right_after_all() -> None:
    stage = Stage()
    stage.nodes = {}
    stage.apply(spec(deploy("db"), deploy("web", 1)))
    stage.step()
    stage.idle = 600.0
    stage.step()
    assert state_of(stage) == (1, "failed", 0)
    stage.nodes = Stage().nodes
    stage.settle()
    assert state_of(stage) == (1, "done", 0)


def test_a_failed_rollout_stays_failed_after_the_service_went_back() -> None:
    stage = stage_at(deploy("web"))
    stage.apply(spec(deploy("web", image=BAD)))
    stage.settle()
    assert stage.step() == []
    assert state_of(stage) == (2, "failed", 1)


def test_it_is_looked_at_again_when_the_deadline_comes() -> None:
    stage = stage_at(deploy("web"))
    assert next_look(stage.seen()) is None
    stage.apply(spec(deploy("web", image="a:2"), rollout={"deadline": 60}))
    stage.step()
    stage.idle = 20.0
    assert next_look(stage.seen()) == 40.0
