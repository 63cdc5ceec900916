"""What the runs on record say of a job, and how the next one is put on record."""

from collections.abc import Iterator

import msgspec
import pytest

from appliance.errors import Conflict
from appliance.model.container import Container
from appliance.model.job import Job, JobRun, Outcome
from appliance.model.service import Revision, Service
from appliance.orchestrator.runs import begin, digest_of, job_states
from appliance.store import keys
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import Change, State

NOW = "2026-11-25T09:00:00Z"


def revision(number: int = 1, image: str = "a:1", **fields: object) -> Revision:
    job = msgspec.structs.replace(Job(name="migrate", type="once", container=Container(image=image)), **fields)
    spec = Service(name="shop", jobs={"migrate": job})
    return Revision(service="shop", number=number, spec=spec, author="me", created_at=NOW)


def run(number: int, outcome: Outcome, of: Revision) -> JobRun:
    return JobRun(
        service="shop",
        job="migrate",
        number=number,
        revision=of.number,
        digest=digest_of(of, "migrate"),
        reason="rank",
        created_at=NOW,
        instances=(),
        outcome=outcome,
    )


def state_after(wanted: Revision, *runs: JobRun) -> str:
    on_record = {keys.run_name("shop", "migrate", each.number): each for each in runs}
    return job_states("shop", wanted, on_record)["migrate"]


def test_a_job_without_a_run_is_due() -> None:
    assert state_after(revision()) == "due"


def test_the_newest_run_decides() -> None:
    assert state_after(revision(), run(1, "failed", revision())) == "failed"
    assert state_after(revision(), run(1, "failed", revision()), run(2, "", revision())) == "running"
    assert state_after(revision(), run(1, "unknown", revision())) == "failed"
    assert state_after(revision(), run(1, "cancelled", revision())) == "failed"


def test_what_has_succeeded_needs_no_other_run() -> None:
    assert state_after(revision(), run(1, "succeeded", revision()), run(2, "failed", revision())) == "succeeded"


def test_another_definition_is_due_and_the_old_one_is_not_when_it_comes_back() -> None:
    old, new = revision(1), revision(2, "a:2")
    assert state_after(new, run(1, "succeeded", old)) == "due"
    assert state_after(old, run(1, "succeeded", old), run(2, "failed", new)) == "succeeded"


def test_a_new_definition_waits_for_a_run_of_the_old_one() -> None:
    assert state_after(revision(2, "a:2"), run(1, "", revision())) == "running"


def test_a_skipped_run_says_nothing() -> None:
    assert state_after(revision(), run(1, "skipped", revision())) == "due"


def test_jobs_with_a_schedule_are_left_out() -> None:
    assert job_states("shop", revision(schedule="0 3 * * *"), {}) == {}


class House:
    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        self.mirror.start()

    def commit(self, change: Change) -> None:
        self.mirror.wait_for(self.store.commit(change.operations, change.expect), 5)


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.mirror.stop()


def test_runs_count_on_and_have_instances_of_their_own(house: House) -> None:
    for ordinal in (1, 2):
        wanted = revision(parallelism=2)
        house.commit(begin(house.state, "shop", "migrate", wanted, reason="hand", now=NOW, ordinal=ordinal))
    runs = house.state.runs.all()
    assert list(runs) == ["shop/migrate/00000001", "shop/migrate/00000002"]
    assert [each.instances for each in runs.values()] == [
        ("shop/migrate-0", "shop/migrate-1"),
        ("shop/migrate-2", "shop/migrate-3"),
    ]
    assert {name: each.run for name, each in house.state.instances.all().items()} == {
        "shop/migrate-0": 1,
        "shop/migrate-1": 1,
        "shop/migrate-2": 2,
        "shop/migrate-3": 2,
    }


def test_two_who_begin_the_same_run_begin_it_once(house: House) -> None:
    first = begin(house.state, "shop", "migrate", revision(), reason="rank", now=NOW)
    second = begin(house.state, "shop", "migrate", revision(), reason="rank", now=NOW)
    house.commit(first)
    with pytest.raises(Conflict):
        house.commit(second)
    assert list(house.state.instances.all()) == ["shop/migrate-0"]


def test_a_job_is_not_begun_by_rank_that_has_begun_since_it_was_found_due(house: House) -> None:
    house.commit(begin(house.state, "shop", "migrate", revision(), reason="hand", now=NOW, ordinal=1))
    with pytest.raises(Conflict):
        begin(house.state, "shop", "migrate", revision(), reason="rank", now=NOW)


def test_a_moment_once_dealt_with_stays_so(house: House) -> None:
    daily = revision(schedule="0 3 * * *")
    for due in ("2026-11-25T03:00:00Z", "2026-11-24T03:00:00Z"):
        house.commit(begin(house.state, "shop", "migrate", daily, reason="schedule", now=NOW, due=due))
    found = house.state.jobs.get("shop/migrate")
    assert found is not None
    assert found.last_due == "2026-11-25T03:00:00Z"
