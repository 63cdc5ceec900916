"""Jobs as the API shows them, and what people may ask of them."""

import pytest
from msgspec.structs import replace

from appliance.errors import NotFound, Refused
from appliance.model.container import Container
from appliance.model.instance import Instance, InstanceStatus, JobStatus
from appliance.model.job import Job, JobRun, JobState, Outcome
from appliance.model.service import Service
from appliance.orchestrator.runs import digest_of
from appliance.store import keys
from tests.unit.api.cluster_in_memory import NOW, InMemory

REPORT = Job(name="report", type="once", container=Container(image="appliance/busybox"))


def apply(cluster: InMemory, **fields: object) -> None:
    cluster.apply(Service(name="shop", jobs={"report": replace(REPORT, **fields)}))


def record(cluster: InMemory, number: int, outcome: Outcome = "", **fields: object) -> None:
    """Put a run on record, as the orchestrator does."""
    revision = cluster.state.revision("shop", 1)
    assert revision is not None
    base = JobRun(
        service="shop",
        job="report",
        number=number,
        revision=1,
        digest=digest_of(revision, "report"),
        reason="hand",
        created_at=NOW,
        instances=(f"shop/report-{number}",),
        outcome=outcome,
    )
    run = replace(base, **fields)
    state = cluster.state
    known = JobState(service="shop", job="report", last_run=number, ordinal=run.ordinal)
    instance = Instance(
        name=f"shop/report-{number}", service="shop", deploy="report", index=number, revision=1, run=number
    )
    cluster.write(
        state.runs.put(keys.run_name("shop", "report", number), run),
        state.jobs.put("shop/report", known),
        state.instances.put(instance.name, instance),
    )


def row(cluster: InMemory) -> dict[str, object]:
    found: dict[str, object] = cluster.ask("GET", "/api/jobs", service="shop")[0]
    return found


def test_a_job_without_a_run_is_due(cluster: InMemory) -> None:
    apply(cluster)
    found = row(cluster)
    assert (found["job"], found["type"], found["state"], found["runs"]) == ("shop/report", "once", "due", [])


def test_a_run_under_way_shows_what_its_node_reported_last(cluster: InMemory) -> None:
    apply(cluster)
    record(cluster, 1)
    job = JobStatus(tries=2, exit_code=1, started_at=NOW, finished_at=NOW)
    status = InstanceStatus(instance="shop/report-1", node="n1", state="backoff", job=job)
    cluster.write(cluster.state.instance_status.put("shop/report-1", status))
    found = row(cluster)
    (run,) = cluster.ask("GET", "/api/jobs")[0]["runs"]
    assert found["state"] == "running"
    assert (run["run"], run["tries"], run["exit_code"], run["outcome"]) == ("shop/report/1", 2, 1, "")
    assert (run["started_at"], run["finished_at"], run["instances"]) == (NOW, "", ["shop/report-1"])


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "unknown", "succeeded"])
def test_a_job_that_has_run_is_as_its_newest_run(cluster: InMemory, outcome: Outcome) -> None:
    apply(cluster)
    record(cluster, 1, "failed")
    record(cluster, 2, outcome)
    record(cluster, 3, "skipped", instances=())
    assert row(cluster)["state"] == outcome


def test_a_schedule_shows_its_next_moment(cluster: InMemory) -> None:
    apply(cluster, schedule="0 3 * * *", zone="Asia/Shanghai")
    state = JobState(service="shop", job="report", last_due="2026-01-01T00:00:00Z")
    cluster.write(cluster.state.jobs.put("shop/report", state))
    found = row(cluster)
    assert (found["state"], found["next"]) == ("scheduled", "2026-01-01T19:00:00Z")


def test_a_job_that_left_its_service_shows_what_is_on_record(cluster: InMemory) -> None:
    apply(cluster)
    record(cluster, 1, "succeeded")
    cluster.apply(Service(name="shop", deploys={}))
    assert row(cluster)["state"] == "removed"


def test_jobs_of_a_service_that_does_not_exist_are_not_found(cluster: InMemory) -> None:
    with pytest.raises(NotFound):
        cluster.ask("GET", "/api/jobs", service="nothing")


def test_a_wish_for_a_run_is_counted(cluster: InMemory) -> None:
    apply(cluster)
    assert cluster.ask("POST", "/api/jobs/shop/report/run") == {"job": "shop/report", "ordinal": 1}
    record(cluster, 1, "succeeded", ordinal=1)
    assert cluster.ask("POST", "/api/jobs/shop/report/run")["ordinal"] == 2
    assert cluster.head("shop").runs == {"report": 2}


def test_a_second_wish_waits_for_the_first(cluster: InMemory) -> None:
    apply(cluster)
    cluster.ask("POST", "/api/jobs/shop/report/run")
    with pytest.raises(Refused, match="asked for already"):
        cluster.ask("POST", "/api/jobs/shop/report/run")


def test_a_run_beside_another_is_refused_unless_the_job_allows_it(cluster: InMemory) -> None:
    apply(cluster)
    record(cluster, 4)
    with pytest.raises(Refused) as refused:
        cluster.ask("POST", "/api/jobs/shop/report/run")
    assert refused.value.what == "Run 4 of shop/report has not ended."
    assert "appliance job cancel shop/report" in refused.value.next
    apply(cluster, overlap="allow")
    assert cluster.ask("POST", "/api/jobs/shop/report/run")["ordinal"] == 1


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "unknown"])
def test_what_did_not_succeed_is_retried(cluster: InMemory, outcome: Outcome) -> None:
    apply(cluster)
    record(cluster, 1, outcome)
    assert cluster.ask("POST", "/api/jobs/shop/report/run", {"retry": True})["ordinal"] == 1


def test_what_succeeded_is_not_retried_but_says_how_to_run_it(cluster: InMemory) -> None:
    apply(cluster)
    with pytest.raises(Refused, match="has not run yet"):
        cluster.ask("POST", "/api/jobs/shop/report/run", {"retry": True})
    record(cluster, 1, "succeeded")
    with pytest.raises(Refused, match="succeeded") as refused:
        cluster.ask("POST", "/api/jobs/shop/report/run", {"retry": True})
    assert "appliance job run shop/report" in refused.value.next


def test_a_stopped_service_runs_no_job(cluster: InMemory) -> None:
    apply(cluster)
    cluster.ask("POST", "/api/services/shop/stop")
    with pytest.raises(Refused, match="is stopped"):
        cluster.ask("POST", "/api/jobs/shop/report/run")


def test_an_unknown_job_is_named_with_those_that_exist(cluster: InMemory) -> None:
    apply(cluster)
    for method, path in (("GET", ""), ("POST", "/run")):
        with pytest.raises(NotFound) as missing:
            cluster.ask(method, f"/api/jobs/shop/nothing{path}")
        assert missing.value.why == "it has report"


def test_runs_that_have_not_ended_are_cancelled(cluster: InMemory) -> None:
    apply(cluster, overlap="allow")
    record(cluster, 1, "failed")
    record(cluster, 2)
    record(cluster, 3)
    assert cluster.ask("POST", "/api/jobs/shop/report/cancel", {"run": 3})["runs"] == [3]
    assert cluster.ask("POST", "/api/jobs/shop/report/cancel")["runs"] == [2, 3]
    assert sorted(cluster.head("shop").cancelled) == ["shop/report/2", "shop/report/3"]


def test_a_cancelled_run_that_has_ended_is_not_remembered_in_the_head(cluster: InMemory) -> None:
    apply(cluster)
    record(cluster, 1)
    cluster.ask("POST", "/api/jobs/shop/report/cancel")
    record(cluster, 1, "cancelled")
    cluster.ask("POST", "/api/jobs/shop/report/run")
    assert cluster.head("shop").cancelled == ()


def test_what_cannot_be_cancelled_says_why(cluster: InMemory) -> None:
    apply(cluster)
    with pytest.raises(Refused, match="under way"):
        cluster.ask("POST", "/api/jobs/shop/report/cancel")
    record(cluster, 1, "failed")
    with pytest.raises(Refused, match="has ended: failed"):
        cluster.ask("POST", "/api/jobs/shop/report/cancel", {"run": 1})
    with pytest.raises(NotFound, match="no run 7"):
        cluster.ask("POST", "/api/jobs/shop/report/cancel", {"run": 7})


def test_who_follows_a_job_is_answered_when_it_has_changed(cluster: InMemory) -> None:
    apply(cluster)
    first = cluster.ask("GET", "/api/jobs/shop/report")
    record(cluster, 1)
    second = cluster.ask("GET", "/api/jobs/shop/report", seen=first["tag"], timeout="20")
    assert (first["state"], second["state"]) == ("due", "running")
    assert second["tag"] != first["tag"]
