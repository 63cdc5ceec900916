"""Runs of one job, from its record to its end, played against a node that does what it is told."""

import msgspec
import pytest

from appliance.model.container import Container
from appliance.model.instance import Instance, JobStatus
from appliance.model.job import Job
from appliance.model.moment import moment_of
from appliance.model.service import Rollout, Service
from appliance.orchestrator.jobs_controller import BELIEVED_AFTER
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.unit.orchestrator.job_world import MORNING, NODE, World

HOUR = 3600.0
YEAR = 370 * 24 * HOUR
EVERY_HOUR = "0 * * * *"


@pytest.fixture
def world() -> World:
    return World()


def test_a_run_has_the_tries_and_the_times_that_its_node_reports(world: World) -> None:
    world.apply(retries=6)
    world.begin_by_rank()
    world.settle()
    assert world.outcomes() == [""]
    world.finish("shop/report-0", tries=3)
    world.settle()
    (run,) = world.runs()
    assert (run.outcome, run.tries, run.exit_code) == ("succeeded", 3, 0)
    assert (run.started_at, run.finished_at) == ("2026-11-25T09:00:01Z", "2026-11-25T09:00:05Z")


def test_a_failed_run_says_which_instance_failed_and_how(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    world.finish("shop/report-0", exit_code=3, tries=7)
    world.settle()
    (run,) = world.runs()
    assert (run.outcome, run.exit_code) == ("failed", 3)
    assert run.message == "shop/report-0 failed after 7 tries: it ended with code 3."


def test_a_parallel_run_succeeds_when_all_its_instances_have(world: World) -> None:
    world.apply(parallelism=2)
    world.begin_by_rank()
    world.settle()
    world.finish("shop/report-0")
    world.settle()
    assert world.outcomes() == [""]
    world.finish("shop/report-1")
    world.settle()
    assert world.outcomes() == ["succeeded"]


def test_the_first_failure_of_a_parallel_run_stops_the_others(world: World) -> None:
    world.apply(parallelism=3)
    world.begin_by_rank()
    world.settle()
    world.finish("shop/report-1", exit_code=9)
    world.settle()
    (run,) = world.runs()
    assert (run.outcome, run.exit_code) == ("failed", 9)
    desired = {name: each.desired for name, each in world.state.instances.all().items()}
    assert desired == {"shop/report-0": "stopped", "shop/report-1": "running", "shop/report-2": "stopped"}


def test_a_failed_once_job_is_run_again_only_when_asked(world: World) -> None:
    world.apply(type="once")
    for exit_code in (1, 0):
        world.begin_by_rank()
        world.settle()
        world.begin_by_rank()
        world.settle()
        world.finish(world.started[-1], exit_code)
        world.settle()
        world.begin_by_rank()
        world.ask()
    assert world.outcomes() == ["failed", "succeeded"]
    assert world.started == ["shop/report-0", "shop/report-1"]


def test_each_wish_by_hand_is_one_run(world: World) -> None:
    world.apply(overlap="allow")
    world.ask()
    world.ask()
    world.settle()
    world.settle()
    assert [(run.reason, run.ordinal) for run in world.runs()] == [("hand", 1), ("hand", 2)]


def test_a_moment_of_the_schedule_is_one_run(world: World) -> None:
    world.apply(schedule=EVERY_HOUR)
    assert world.cycle() == HOUR
    world.now += HOUR
    world.settle()
    world.settle()
    (run,) = world.runs()
    assert (run.reason, run.due) == ("schedule", "2026-11-25T10:00:00Z")


def test_a_schedule_begins_when_it_is_first_seen(world: World) -> None:
    world.now += 600
    world.apply(schedule="0 9 * * *", missed="run")
    world.settle()
    assert world.runs() == []


def test_another_schedule_makes_up_for_nothing(world: World) -> None:
    world.apply(schedule="0 23 * * *", missed="run")
    world.settle()
    world.now += 3 * HOUR
    world.apply(schedule="0 11 * * *", missed="run")
    world.settle()
    assert world.runs() == []


def test_a_clock_that_steps_back_repeats_no_moment(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, overlap="allow")
    world.cycle()
    for moment in (HOUR, 0.0, HOUR + 1, HOUR - 1, HOUR):
        world.now = MORNING.timestamp() + moment
        world.settle()
    assert [run.due for run in world.runs()] == ["2026-11-25T10:00:00Z"]


def test_a_schedule_goes_on_after_the_clock_was_a_year_ahead(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, overlap="allow")
    world.cycle()
    world.now += YEAR
    world.settle()
    world.now -= YEAR
    for _ in range(2):
        world.settle()
        world.steady += BELIEVED_AFTER
    known = world.state.jobs.get("shop/report")
    assert known and moment_of(known.last_due) == MORNING
    before = len(world.runs())
    world.now += HOUR
    world.settle()
    assert [run.due for run in world.runs()[before:]] == ["2026-11-25T10:00:00Z"]


def test_a_clock_that_is_a_year_behind_for_minutes_repeats_no_moment(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, overlap="allow", missed="run")
    world.cycle()
    world.now += HOUR
    world.settle()
    for _ in range(3):
        world.now -= YEAR
        world.settle()
        world.steady += BELIEVED_AFTER - 1
        world.settle()
        world.now += YEAR
        world.settle()
    assert [run.due for run in world.runs()] == ["2026-11-25T10:00:00Z"]


def test_a_run_that_is_due_while_another_runs_is_skipped_and_recorded(world: World) -> None:
    world.apply(schedule=EVERY_HOUR)
    world.cycle()
    for _ in range(2):
        world.now += HOUR
        world.settle()
    first, second = world.runs()
    assert (first.outcome, second.outcome, second.message) == ("", "skipped", "Run 1 had not ended.")
    assert second.instances == ()
    assert world.started == ["shop/report-0"]


def test_overlapping_runs_run_side_by_side_where_they_may(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, overlap="allow")
    world.cycle()
    for _ in range(2):
        world.now += HOUR
        world.settle()
    assert world.outcomes() == ["", ""]
    assert world.started == ["shop/report-0", "shop/report-1"]


def test_a_run_that_replaces_another_starts_when_that_has_stopped(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, overlap="replace")
    world.cycle()
    world.now += HOUR
    world.settle()
    world.now += HOUR
    world.cycle()
    first, second = world.runs()
    assert (first.outcome, first.message, second.waiting) == ("", "Replaced by run 2.", True)
    assert world.started == ["shop/report-0"]
    world.settle()
    assert world.outcomes() == ["cancelled", ""]
    assert world.started == ["shop/report-0", "shop/report-1"]


def test_a_run_that_never_came_to_start_is_replaced_as_well(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, overlap="replace")
    world.cycle()
    for _ in range(3):
        world.now += HOUR
        world.cycle()
        if not world.started:
            world.obey()  # the node does not hear of what comes later
    world.cycle()
    assert world.outcomes() == ["", "cancelled", ""]
    world.settle()
    assert world.started == ["shop/report-0", "shop/report-2"]


@pytest.mark.parametrize(("missed", "outcomes"), [("skip", ["skipped"]), ("run", [""])])
def test_what_was_missed_is_one_record(world: World, missed: str, outcomes: list[str]) -> None:
    world.apply(schedule=EVERY_HOUR, missed=missed)
    world.cycle()
    world.now += 5 * HOUR + 600
    world.lead()
    world.settle()
    assert world.outcomes() == outcomes
    assert world.runs()[0].due == "2026-11-25T14:00:00Z"


def test_a_moment_is_not_missed_for_a_change_of_leaders(world: World) -> None:
    world.apply(schedule=EVERY_HOUR)
    world.cycle()
    world.now += HOUR + 20
    world.lead()
    world.settle()
    assert world.outcomes() == [""]


def test_a_stopped_service_runs_nothing_and_makes_up_for_nothing(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, missed="run")
    world.cycle()
    world.change_head(halted=True)
    world.now += HOUR
    world.settle()
    world.change_head(halted=False)
    world.now += 600
    world.settle()
    assert world.runs() == []


def test_a_cancelled_run_stops_and_keeps_its_container(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    world.cancel(1)
    world.cycle()
    assert world.outcomes() == [""]
    world.settle()
    (run,) = world.runs()
    assert (run.outcome, run.message) == ("cancelled", "Cancelled by hand.")
    assert world.state.instances.all()["shop/report-0"].desired == "stopped"


def test_a_cancelled_run_that_has_no_node_is_cancelled_at_once(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.cancel(1)
    world.settle()
    assert world.outcomes() == ["cancelled"]
    assert world.started == []


def test_what_ended_before_it_was_cancelled_has_succeeded(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    world.finish("shop/report-0")
    world.cancel(1)
    world.settle()
    assert world.outcomes() == ["succeeded"]


def test_only_the_newest_runs_are_kept_with_their_instances(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, keep=2)
    world.cycle()
    for _ in range(5):
        world.now += HOUR
        world.settle()
        world.finish(world.started[-1])
        world.settle()
    assert [run.number for run in world.runs()] == [4, 5]
    kept = ["shop/report-3", "shop/report-4"]
    assert list(world.state.instances.all()) == kept
    assert list(world.state.bindings.all()) == list(world.state.instance_status.all()) == kept


def test_skipped_runs_do_not_push_out_those_that_ran(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, keep=1)
    world.cycle()
    world.now += HOUR
    world.settle()
    world.finish("shop/report-0")
    for _ in range(4):
        world.now += HOUR
        world.settle()
    assert world.outcomes() == ["succeeded", "", "skipped"]


def test_what_proves_that_a_definition_has_run_is_kept_as_long_as_its_revision(world: World) -> None:
    world.apply(type="once", keep=1)
    for image in ("a:1", "a:2", "a:3", "a:1"):
        world.apply(type="once", keep=1, container=Container(image=image))
        world.begin_by_rank()
        world.settle()
        if world.outcomes()[-1] == "":
            world.finish(world.started[-1])
        world.settle()
    assert world.started == ["shop/report-0", "shop/report-1", "shop/report-2"]
    assert list(world.state.instances.all()) == ["shop/report-2"]
    for number in (2, 3):
        world.write(world.state.revisions.delete(keys.revision_key("shop", number)[len(keys.REVISIONS) :]))
    world.write(world.state.revisions.delete(keys.revision_key("shop", 4)[len(keys.REVISIONS) :]))
    world.settle()
    assert [run.number for run in world.runs()] == [1, 3]


def test_a_new_definition_ends_a_normal_run_of_the_old_one_and_waits_for_a_once_run(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    world.apply(container=Container(image="a:2"))
    world.begin_by_rank()
    assert len(world.runs()) == 1
    world.settle()
    assert world.outcomes() == ["cancelled"]
    world.begin_by_rank()
    assert world.outcomes() == ["cancelled", ""]


def test_a_job_that_left_the_service_leaves_nothing_but_what_a_rollback_needs(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    world.apply_spec(Service(name="shop"))
    world.settle()
    assert world.state.instances.all() == {}
    assert world.outcomes() == ["cancelled"]
    assert world.runs()[0].message == "The job is no longer part of the service."


def test_a_job_that_comes_back_counts_on_and_makes_up_for_nothing(world: World) -> None:
    world.apply(schedule=EVERY_HOUR, missed="run")
    world.ask()
    world.settle()
    world.apply_spec(Service(name="shop"))
    world.settle()
    world.now += 3 * HOUR
    world.apply(schedule=EVERY_HOUR, missed="run")
    world.settle()
    assert world.outcomes() == []
    world.ask()
    world.settle()
    assert [(run.number, run.reason) for run in world.runs()] == [(2, "hand")]


def test_a_deleted_service_leaves_nothing(world: World) -> None:
    world.apply(parallelism=2)
    world.begin_by_rank()
    world.settle()
    world.change_head(deleted=True)
    world.settle()
    state = world.state
    tables = (state.jobs, state.runs, state.instances, state.bindings, state.instance_status)
    assert [table.all() for table in tables] == [{}] * 5


def test_what_a_forgotten_service_left_is_removed(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    world.write(world.state.services.delete("shop"))
    world.settle()
    assert (world.state.jobs.all(), world.runs(), world.state.instances.all()) == ({}, [], {})


def evict(world: World) -> None:
    world.write(world.state.nodes.put(NODE, msgspec.structs.replace(world.node, evicted=True)))


def test_a_normal_job_goes_on_elsewhere_when_its_node_is_evicted(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    evict(world)
    world.cycle()
    world.orchestrate()
    world.cycle()
    assert world.outcomes() == [""]
    assert list(world.state.instances.all()) == ["shop/report-0"]
    assert world.state.bindings.all() == {}


def test_a_cancelled_run_is_not_made_anew_when_its_node_is_evicted(world: World) -> None:
    world.apply()
    world.begin_by_rank()
    world.settle()
    world.cancel(1)
    world.settle()
    evict(world)
    world.orchestrate()
    assert world.state.instances.all()["shop/report-0"].desired == "stopped"


def test_a_once_job_is_not_repeated_when_its_node_is_evicted(world: World) -> None:
    world.apply(type="once")
    world.begin_by_rank()
    world.settle()
    evict(world)
    world.cycle()
    world.begin_by_rank()
    (run,) = world.runs()
    assert run.outcome == "unknown"
    assert run.message == "The node of shop/report-0 was evicted before it had ended."
    assert world.started == ["shop/report-0"]


def test_what_had_ended_before_its_node_was_evicted_keeps_its_outcome(world: World) -> None:
    world.apply(type="once")
    world.begin_by_rank()
    world.settle()
    world.finish("shop/report-0")
    evict(world)
    world.settle()
    assert world.outcomes() == ["succeeded"]


def test_a_node_that_does_not_know_how_a_once_job_ended_makes_it_unknown(world: World) -> None:
    world.apply(type="once")
    world.begin_by_rank()
    world.settle()
    world.report("shop/report-0", "failed", JobStatus(tries=1, lost=True))
    world.settle()
    assert world.outcomes() == ["unknown"]


def test_an_instance_that_somebody_removed_is_not_made_again(world: World) -> None:
    world.apply(type="once")
    world.begin_by_rank()
    world.settle()
    world.write(world.state.instances.delete("shop/report-0"))
    world.settle()
    assert world.outcomes() == ["unknown"]
    assert world.started == ["shop/report-0"]


def test_a_job_whose_rollout_failed_keeps_its_logs(world: World) -> None:
    world.apply_spec(Service(name="shop"))
    world.apply(type="once")
    world.begin_by_rank()
    world.settle()
    world.finish("shop/report-0", 1)
    rollout = Rollout(service="shop", revision=2, state="failed", previous=1)
    world.write(Put(keys.ROLLOUTS + "shop", encode(rollout)))
    world.settle()
    assert world.outcomes() == ["failed"]
    assert list(world.state.instances.all()) == ["shop/report-0"]


def test_deploys_are_left_alone(world: World) -> None:
    world.apply()
    other = Instance(name="shop/report-x-0", service="shop", deploy="report-x", index=0, revision=1)
    world.write(world.state.instances.put(other.name, other))
    world.cycle()
    assert world.state.instances.all() == {other.name: other}


def test_a_service_without_jobs_writes_nothing(world: World) -> None:
    world.apply_spec(Service(name="shop"))
    before = world.copy.revision
    world.cycle()
    assert world.copy.revision == before


def test_a_job_by_rank_without_a_run_writes_nothing(world: World) -> None:
    world.apply()
    before = world.copy.revision
    assert world.cycle() is None
    assert world.copy.revision == before


def test_the_job_of_another_service_with_a_longer_name_is_another(world: World) -> None:
    job = Job(name="report", type="once", container=Container(image="a:1"))
    more = msgspec.structs.replace(job, name="report-all")
    world.apply_spec(Service(name="shop", jobs={"report": job, "report-all": more}))
    world.begin_by_rank()
    world.change_head(runs={"report-all": 1})
    world.settle()
    assert [run.name for run in world.runs()] == ["shop/report-all/1", "shop/report/1"]
    assert sorted(world.started) == ["shop/report-0", "shop/report-all-0"]
