"""Jobs on a node: run to completion, also across restarts of the agent. On a real engine and the fake."""

from pathlib import Path

import msgspec

from appliance.agent.job_step import job_step
from appliance.agent.plan import containers_of
from appliance.agent.record import Records, Tries
from appliance.agent.step import Seen
from appliance.engine.engine import ContainerState
from appliance.engine.fake import FakeEngine
from appliance.model.instance import InstanceStatus
from appliance.model.job import JobPlan
from appliance.model.moment import seconds_of
from tests.unit.agent.node import COUNT, Node, eventually, job, places

NAME = "shop/migrate-0"
ONCE = JobPlan(type="once")


def _ended(node: Node, state: str) -> InstanceStatus:
    eventually(lambda: node.state(NAME) == state)
    return node.reported[NAME]


def _runs(node: Node) -> int:
    return len(list((node.folder / f"volumes/{NAME}/data").glob("run-*")))


def test_a_job_that_ends_well_has_succeeded_and_its_container_stays(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(("true",), ONCE))
        told = _ended(node, "succeeded")
        assert told.job is not None and (told.job.tries, told.job.exit_code) == (1, 0)
        assert told.job.started_at and told.job.finished_at
        assert not told.ready and node.find(instance=NAME) is not None
        book.put(msgspec.structs.replace(job(("true",), ONCE), desired="removed"))
        _ended(node, "removed")
        assert node.find(instance=NAME) is None


def test_a_once_job_that_fails_stays_failed(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(COUNT, ONCE))
        told = _ended(node, "failed")
        assert told.job is not None and told.job.exit_code == 1 and "code 1" in told.message
    with node.supervised():
        _ended(node, "failed")
        assert _runs(node) == 1


def test_a_normal_job_is_tried_until_it_succeeds(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(COUNT, JobPlan(type="normal", retries=4)))
        told = _ended(node, "succeeded")
        assert told.job is not None and told.job.tries == 3 and _runs(node) == 3


def test_a_normal_job_is_given_up_after_its_retries(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(COUNT, JobPlan(type="normal", retries=1)))
        told = _ended(node, "failed")
        assert told.job is not None and told.job.tries == 2 and _runs(node) == 2


def test_a_job_that_takes_too_long_is_ended(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(("sleep", "1000"), JobPlan(type="once", timeout=0.5)))
        told = _ended(node, "failed")
        assert "longer than 0.5 s" in told.message


def test_a_clock_that_is_set_forward_ends_no_job(tmp_path: Path) -> None:
    plan = JobPlan(type="once", timeout=60.0)
    [settings] = containers_of(job(("sleep", "1000"), plan), places(tmp_path))
    started = "2026-01-01T00:00:00Z"
    container = ContainerState(id="1", name=settings.name, image_id="", labels={}, state="running", started_at=started)
    an_hour_later = seconds_of(started) + 3600.0

    def state(measured: float | None = None) -> str:
        ran = {} if measured is None else {settings.name: measured}
        seen = Seen({settings.name: container}, wall=an_hour_later, ran=ran)
        return job_step(plan, "running", settings, seen, 0.0).state

    assert state(59.0) == "running"
    assert state(61.0) == "stopping"
    assert state() == "stopping", "nothing but the clock is known"


def test_a_cancelled_job_ends(node: Node) -> None:
    wanted = job(("sleep", "1000"), ONCE)
    with node.supervised() as book:
        book.put(wanted)
        _ended(node, "running")
        book.put(msgspec.structs.replace(wanted, desired="stopped"))
        _ended(node, "stopped")


def test_a_job_whose_program_is_not_there_fails_and_says_so(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(("no-such-program",), ONCE))
        assert "no-such-program" in _ended(node, "failed").message


def test_a_running_job_is_not_disturbed_by_a_new_agent(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(("sleep", "1000"), ONCE))
        _ended(node, "running")
        before = node.find(instance=NAME)
    node.reported.clear()
    with node.supervised():
        _ended(node, "running")
        assert node.find(instance=NAME) == before


def test_a_once_job_whose_container_is_gone_is_lost_not_repeated(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(("sleep", "1000"), ONCE))
        _ended(node, "running")
    found = node.find(instance=NAME)
    assert found is not None
    node.engine.remove(found.name)
    with node.supervised():
        told = _ended(node, "failed")
        assert told.job is not None and told.job.lost and "not started twice" in told.message


def test_what_a_job_came_to_outlives_its_container(node: Node) -> None:
    with node.supervised() as book:
        book.put(job(("true",), ONCE))
        _ended(node, "succeeded")
        found = node.find(instance=NAME)
        assert found is not None
        node.engine.remove(found.name)
    node.reported.clear()
    with node.supervised():
        told = _ended(node, "succeeded")
        assert told.job is not None and told.job.exit_code == 0


def test_a_once_job_that_ended_while_no_agent_ran_is_judged_by_its_container(fake_node: Node) -> None:
    assert isinstance(fake_node.engine, FakeEngine)
    with fake_node.supervised() as book:
        book.put(job(("sleep", "1000"), ONCE))
        _ended(fake_node, "running")
    found = fake_node.find(instance=NAME)
    assert found is not None
    fake_node.engine.end(found.name, 5)
    with fake_node.supervised():
        told = _ended(fake_node, "failed")
        assert told.job is not None and told.job.exit_code == 5


def test_a_damaged_record_counts_as_a_start(tmp_path: Path) -> None:
    Records(tmp_path).put(NAME, Tries(count=1, mark="a b"))
    for damage in (b"", b"{", b"\xff", b"[]"):
        (tmp_path / f"{NAME}.json").write_bytes(damage)
        assert Records(tmp_path).tries(NAME).count == 1
        assert Records(tmp_path).life(NAME) is None
