"""What waits for lower ranks after a start of its node, and for how long."""

import msgspec

from appliance.agent.gates import ALONE_AFTER, FAILING_FOR, HEARING, LONGEST, Gates, Lower
from appliance.model.instance import Assignment, InstanceStatus
from appliance.model.job import JobPlan


def _of(deploy: str, rank: int) -> Assignment:
    return Assignment(
        instance=f"shop/{deploy}-0", service="shop", deploy=deploy, index=0, revision=1, rank=rank, containers=()
    )


DB, WEB = _of("db", 0), _of("web", 2)


def _lower(*, ready: bool, failing: float | None = None) -> Lower:
    status = InstanceStatus(instance=DB.instance, node="n1", state="running", ready=ready)
    return Lower(DB, status, failing)


def test_the_first_rank_waits_for_no_other() -> None:
    assert Gates(begun=0.0, confirmed=True).why_closed(DB, (Lower(WEB, None),), 0.0) == ""


def test_after_a_start_of_the_node_a_manager_has_a_moment_to_say_that_it_lives_elsewhere_now() -> None:
    assert "still to run here" in Gates(begun=0.0).why_closed(DB, (), HEARING)
    assert Gates(begun=0.0).why_closed(DB, (), HEARING + 0.1) == ""
    sidecar = msgspec.structs.replace(DB, service="system", instance="system/etcd-1")
    assert Gates(begun=0.0).why_closed(sidecar, (), 0.0) == ""


def test_lower_ranks_of_the_node_come_first() -> None:
    opened = Gates(begun=0.0, confirmed=True, opened={})
    assert "shop/db-0" in opened.why_closed(WEB, (_lower(ready=False),), 100.0)
    assert "shop/db-0" in opened.why_closed(WEB, (Lower(DB, None),), 100.0)
    assert opened.why_closed(WEB, (_lower(ready=True),), 0.0) == ""


def test_what_is_to_be_down_or_of_another_service_is_not_waited_for() -> None:
    down = msgspec.structs.replace(DB, desired="stopped")
    foreign = msgspec.structs.replace(DB, service="other")
    assert (
        Gates(begun=0.0, confirmed=True, opened={}).why_closed(WEB, (Lower(down, None), Lower(foreign, None)), 0.0)
        == ""
    )


def test_a_job_that_ended_has_had_its_turn() -> None:
    job = msgspec.structs.replace(DB, job=JobPlan(type="once"))
    ended = InstanceStatus(instance=DB.instance, node="n1", state="failed")
    assert Gates(begun=0.0, confirmed=True, opened={}).why_closed(WEB, (Lower(job, ended),), 0.0) == ""


def test_nobody_waits_long_for_what_keeps_failing_nor_for_ever_for_anything() -> None:
    opened = Gates(begun=0.0, confirmed=True, opened={})
    assert opened.why_closed(WEB, (_lower(ready=False, failing=10.0),), 10.0 + FAILING_FOR) != ""
    assert opened.why_closed(WEB, (_lower(ready=False, failing=10.0),), 10.1 + FAILING_FOR) == ""
    assert opened.why_closed(WEB, (_lower(ready=False),), LONGEST + 0.1) == ""


def test_a_manager_that_has_not_spoken_is_waited_for_a_while() -> None:
    silent = Gates(begun=0.0)
    assert "manager" in silent.why_closed(WEB, (), ALONE_AFTER)
    assert silent.why_closed(WEB, (), ALONE_AFTER + 0.1) == ""


def test_the_managers_gate_holds_as_long_as_the_link_is_up() -> None:
    def closed(opened: int, linked: float) -> bool:
        return bool(
            Gates(begun=0.0, confirmed=True, opened={"shop": opened}, linked=linked).why_closed(WEB, (), 1000.0)
        )

    assert closed(1, linked=1000.0)
    assert closed(1, linked=1000.0 - ALONE_AFTER)
    assert not closed(1, linked=999.0 - ALONE_AFTER)
    assert not closed(2, linked=1000.0)
