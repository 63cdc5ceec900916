"""Instances that leave their nodes, and those that stay."""

import msgspec
import pytest

from appliance.model.service import Move
from appliance.orchestrator.decisions import Alter, Forget, ForgetService, Renew
from appliance.orchestrator.moves import why_it_stays
from appliance.orchestrator.rollout import next_look
from tests.unit.orchestrator.stage import Stage, deploy, job, names, spec


def running(*parts: object) -> Stage:
    """A stage on which this service is complete, its instances spread over three nodes."""
    stage = Stage()
    stage.apply(spec(*parts))  # type: ignore[arg-type]
    stage.step()
    stage.bindings = {name: f"n{number % 3 + 1}" for number, name in enumerate(stage.instances)}
    stage.settle()
    return stage


def change(stage: Stage, node: str, **fields: object) -> None:
    stage.nodes[node] = msgspec.structs.replace(stage.nodes[node], **fields)


def test_a_moved_instance_leaves_its_node_before_it_starts_on_the_other() -> None:
    stage = running(deploy("web"))
    stage.want(moves={"s/web-0": Move(number=1, to="n3", away_from="n1")})
    (first,) = stage.step()
    assert names([first]) == ["s/web-0"]
    assert stage.instances["s/web-0"].desired == "removed"
    assert stage.step() == []
    stage.obey()
    (second,) = stage.step()
    assert isinstance(second, Renew)
    assert (second.instance.desired, second.instance.move) == ("running", 1)
    assert (second.instance.node, second.instance.avoid) == ("n3", "n1")
    stage.settle()
    assert stage.bindings == {"s/web-0": "n3"}


def test_a_drain_takes_away_no_more_than_an_update_may() -> None:
    stage = running(deploy("web", 0, 4, max_unavailable="1"))
    stage.bindings = dict.fromkeys(stage.bindings, "n1")
    change(stage, "n1", draining=True)
    assert len(names(stage.step())) == 1
    assert stage.step() == []
    stage.settle()
    assert "n1" not in stage.bindings.values()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"every_node": True}, "Its deploy runs on every node."),
        ({"placement": {"node": "n1"}}, "Its deploy is pinned to the node n1."),
        (
            {"volumes": {"data": {}}},
            "Its data is on this node, in the volume data; `appliance move` leaves the data behind.",
        ),
        ({"volumes": {"logs": {"path": "/srv"}, "fast": {"medium": "memory"}}}, ""),
    ],
)
def test_a_drain_leaves_what_belongs_to_the_node(fields: dict[str, object], reason: str) -> None:
    stage = running(deploy("web", 0, 1, "a:1", **fields))
    (name, *_) = [name for name, home in stage.bindings.items() if home == "n1"]
    change(stage, "n1", draining=True)
    assert why_it_stays(stage.seen(), stage.instances[name]) == reason
    assert bool(names(stage.step())) == (not reason)


def test_what_was_on_an_evicted_node_is_made_anew_at_once_and_forgets_where_it_was() -> None:
    stage = running(deploy("web", 0, 2))
    stage.away = {"n1": 5.0}
    change(stage, "n1", evicted=True)
    (decision,) = stage.step()
    assert isinstance(decision, Renew)
    assert decision.instance.name == "s/web-0"
    assert sorted(stage.bindings) == ["s/web-1"]
    stage.settle()
    assert stage.bindings["s/web-0"] == "n2"


def test_a_daemon_of_an_evicted_node_ends_with_it() -> None:
    stage = running(deploy("agent", every_node=True))
    change(stage, "n2", evicted=True)
    stage.settle()
    assert sorted(stage.instances) == ["s/agent-1", "s/agent-3"]


def test_a_run_of_a_once_job_is_never_made_anew() -> None:
    stage = Stage()
    stage.apply(spec(job("migrate")))
    stage.step()
    stage.bind()
    change(stage, "n1", evicted=True)
    assert stage.step() == []


def test_an_instance_of_an_unreachable_node_stays_where_it_is() -> None:
    stage = running(deploy("web", 0, 2))
    stage.away = {"n1": 10_000.0}
    assert stage.step() == []
    stage.want(moves={"s/web-0": Move(number=1)})
    stage.settle()
    assert stage.bindings["s/web-0"] == "n1"


def test_a_deploy_may_give_a_node_up_after_a_while() -> None:
    stage = running(deploy("web", 0, 2, move_after=600.0))
    stage.away = {"n1": 599.0}
    assert stage.step() == []
    assert next_look(stage.seen()) == 1.0
    stage.away = {"n1": 600.0}
    (decision,) = stage.step()
    assert isinstance(decision, Renew)


def test_an_instance_that_is_too_much_is_not_made_anew_when_its_node_is_given_up() -> None:
    stage = running(deploy("web", 0, 1, move_after=60.0))
    stage.away = {"n1": 100.0}
    stage.want(scale={"web": 0})
    (decision,) = stage.step()
    assert isinstance(decision, Alter)
    change(stage, "n1", evicted=True)
    assert stage.step() == [Forget("s/web-0")]


def test_deleting_a_service_ends_although_a_node_was_evicted() -> None:
    stage = running(deploy("web"))
    stage.away = {"n1": 1.0}
    stage.want(deleted=True)
    stage.step()
    assert stage.step() == []
    change(stage, "n1", evicted=True)
    assert stage.step() == [Forget("s/web-0"), ForgetService("s")]


def test_an_instance_that_comes_back_after_its_move_is_not_moved_again() -> None:
    stage = running(deploy("web", 0, 2))
    stage.want(moves={"s/web-1": Move(number=1, to="n3", away_from="n2")})
    stage.settle()
    stage.log.clear()
    stage.want(scale={"web": 1})
    stage.settle()
    stage.want(scale={})
    stage.settle()
    assert stage.instances["s/web-1"].move == 1
    assert not any(isinstance(each, Renew) for each in stage.log)
