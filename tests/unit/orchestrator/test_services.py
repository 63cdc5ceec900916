"""Decisions about one service, played against nodes that do what they are told."""

import msgspec

from appliance.model.node import NodeSpec
from appliance.model.wish import Heard
from appliance.orchestrator.decisions import Alter, Forget, ForgetService, StartRun
from tests.unit.orchestrator.stage import Stage, deploy, job, names, spec


def running(*parts: object, **fields: object) -> Stage:
    """A stage on which this service is complete."""
    stage = Stage()
    stage.apply(spec(*parts, **fields))  # type: ignore[arg-type]
    stage.settle()
    return stage


def test_a_higher_rank_waits_until_the_lower_is_ready() -> None:
    stage = Stage()
    stage.apply(spec(deploy("db"), deploy("web", 1, 2)))
    assert names(stage.step()) == ["s/db-0"]
    stage.bind()
    assert stage.step() == []
    stage.obey()
    assert names(stage.step()) == ["s/web-0", "s/web-1"]


def test_what_is_as_wanted_needs_no_decision() -> None:
    stage = running(deploy("db"), deploy("web", 1, 3))
    assert sorted(stage.instances) == ["s/db-0", "s/web-0", "s/web-1", "s/web-2"]
    assert stage.step() == []


def test_an_update_touches_a_quarter_at_a_time() -> None:
    stage = running(deploy("web", 0, 8))
    stage.apply(spec(deploy("web", 0, 8, "a:2")))
    assert len(names(stage.step())) == 2
    assert names(stage.step()) == []
    stage.settle()
    assert {each.revision for each in stage.instances.values()} == {2}


def test_an_update_has_as_many_away_as_the_deploy_allows() -> None:
    stage = running(deploy("web", 0, 8))
    stage.apply(spec(deploy("web", 0, 8, "a:2", max_unavailable="3")))
    assert len(names(stage.step())) == 3


def test_the_update_goes_on_when_the_updated_have_been_ready_for_long_enough() -> None:
    stage = running(deploy("web", 0, 2))
    stage.apply(spec(deploy("web", 0, 2, "a:2", min_ready=5.0)))
    stage.ready_for = {}
    assert names(stage.step()) == ["s/web-0"]
    stage.obey()
    assert stage.step() == []
    stage.ready_for = {"s/web-0": 5.0}
    assert names(stage.step()) == ["s/web-1"]


def test_an_update_leaves_deploys_alone_that_it_does_not_change() -> None:
    stage = running(deploy("db"), deploy("web"))
    stage.apply(spec(deploy("db"), deploy("web", image="a:2")))
    stage.settle()
    assert stage.revision_of("s/db-0", "s/web-0") == [1, 2]


def test_instances_that_do_not_serve_are_updated_first_and_all_at_once() -> None:
    stage = running(deploy("web", 0, 4))
    for name in ("s/web-2", "s/web-3"):
        del stage.statuses[name]
    stage.apply(spec(deploy("web", 0, 4, "a:2")))
    assert names(stage.step()) == ["s/web-2", "s/web-3"]


def test_a_paused_service_creates_updates_and_removes_nothing() -> None:
    stage = running(deploy("web", 0, 2))
    stage.want(paused=True, scale={"web": 1})
    stage.apply(spec(deploy("web", 0, 3, "a:2")))
    assert names(stage.step()) == []
    assert stage.rollout and stage.rollout.state == "paused"
    stage.want(paused=False)
    stage.settle()
    assert (sorted(stage.instances), stage.revision_of("s/web-0")) == (["s/web-0"], [2])


def test_a_service_waits_for_those_it_depends_on() -> None:
    stage = Stage(waits_for=("dbs",))
    stage.apply(spec(deploy("web"), depends_on=["dbs"]))
    assert names(stage.step()) == []
    stage.waits_for = ()
    assert names(stage.step()) == ["s/web-0"]


def test_scaling_down_removes_the_highest_index_first_and_forgets_it_when_gone() -> None:
    stage = running(deploy("web", 0, 4))
    stage.want(scale={"web": 2})
    assert names(stage.step()) == ["s/web-3", "s/web-2"]
    assert stage.step() == []
    stage.obey()
    assert stage.step() == [Forget("s/web-2"), Forget("s/web-3")]


def test_an_instance_without_a_node_is_forgotten_at_once() -> None:
    stage = running(deploy("web"))
    stage.want(scale={"web": 0})
    stage.step()
    stage.bindings.clear()
    assert stage.step() == [Forget("s/web-0")]


def test_what_the_new_revision_drops_goes_when_that_is_complete_highest_rank_first() -> None:
    stage = running(deploy("db"), deploy("old"), deploy("older", 2))
    stage.apply(spec(deploy("db", image="a:2")))
    assert names(stage.step()) == ["s/db-0"]
    assert names(stage.step()) == []
    stage.obey()
    assert names(stage.step()) == ["s/older-0"]
    stage.obey()
    assert names(stage.step()) == ["s/old-0"]


def test_a_deleted_service_goes_in_reverse_order_of_rank_and_is_then_forgotten() -> None:
    stage = running(deploy("db"), deploy("web", 1))
    stage.want(deleted=True)
    assert names(stage.step()) == ["s/web-0"]
    stage.obey()
    assert names(stage.step()) == ["s/db-0"]
    stage.obey()
    assert stage.step() == [Forget("s/db-0"), ForgetService("s")]


def test_restarts_and_stops_of_single_instances_are_passed_on() -> None:
    stage = running(deploy("web", 0, 2))
    stage.want(restarts={"s/web-0": 1}, stopped=("s/web-1",))
    stage.step()
    assert (stage.instances["s/web-0"].restart, stage.instances["s/web-1"].desired) == (1, "stopped")


def test_a_stopped_instance_does_not_hold_up_higher_ranks() -> None:
    stage = Stage()
    stage.want(stopped=("s/db-0",))
    stage.apply(spec(deploy("db"), deploy("web", 1)))
    stage.settle()
    assert stage.instances["s/web-0"].desired == "running"


def test_a_halted_service_stops_the_highest_rank_first_and_starts_the_lowest_first() -> None:
    stage = running(deploy("db"), deploy("web", 1))
    stage.want(halted=True)
    assert names(stage.step()) == ["s/web-0"]
    assert names(stage.step()) == []
    stage.obey()
    assert names(stage.step()) == ["s/db-0"]
    stage.obey()
    assert names(stage.step()) == []
    stage.want(halted=False)
    assert names(stage.step()) == ["s/db-0"]
    stage.obey()
    assert names(stage.step()) == ["s/web-0"]


def test_a_restart_of_the_whole_service_stops_all_before_it_starts_any() -> None:
    stage = running(deploy("db"), deploy("web", 1))
    stage.want(generation=1)
    order = []
    for _ in range(8):
        order += [(each.instance.name, each.instance.desired) for each in stage.step() if isinstance(each, Alter)]
        stage.obey()
    assert order == [("s/web-0", "stopped"), ("s/db-0", "stopped"), ("s/db-0", "running"), ("s/web-0", "running")]
    assert {each.generation for each in stage.instances.values()} == {1}


def test_a_job_has_its_turn_between_the_ranks() -> None:
    stage = Stage()
    stage.apply(spec(deploy("db"), job("migrate", 1), deploy("web", 2)))
    stage.step()
    stage.bind()
    stage.obey()
    assert stage.step() == [StartRun("migrate", 1)]
    assert stage.step() == []
    stage.settle()
    assert "s/web-0" in stage.instances


def test_one_instance_on_every_node_and_none_where_the_label_is_gone() -> None:
    stage = Stage()
    stage.apply(spec(deploy("agent", every_node=True, placement={"require": {"zone": ["a"]}})))
    stage.nodes = {name: _labelled(each, "a") for name, each in stage.nodes.items()}
    stage.settle()
    assert stage.bindings == {"s/agent-1": "n1", "s/agent-2": "n2", "s/agent-3": "n3"}
    stage.nodes["n2"] = _labelled(stage.nodes["n2"], "b")
    stage.settle()
    assert sorted(stage.instances) == ["s/agent-1", "s/agent-3"]


def _labelled(node: NodeSpec, zone: str) -> NodeSpec:
    return msgspec.structs.replace(node, labels={"zone": zone})


def test_an_instance_says_which_wish_of_its_node_is_in_it() -> None:
    stage = running(deploy("web"))
    stage.want(heard={"s/web-0": Heard(number=4, action="stop", at="", who="", node="n1")}, stopped=("s/web-0",))
    stage.settle()
    assert (stage.instances["s/web-0"].desired, stage.instances["s/web-0"].heard) == ("stopped", 4)


def test_a_start_on_the_node_is_not_in_it_before_the_turn_of_its_rank_has_come() -> None:
    stage = running(deploy("db"), deploy("web", 1))
    stage.want(stopped=("s/db-0", "s/web-0"))
    stage.settle()
    heard = {"s/web-0": Heard(number=4, action="start", at="", who="", node="n1")}
    stage.want(stopped=(), heard=heard)
    stage.step()
    stage.step()
    assert (stage.instances["s/web-0"].desired, stage.instances["s/web-0"].heard) == ("stopped", 0)
    stage.settle()
    assert (stage.instances["s/web-0"].desired, stage.instances["s/web-0"].heard) == ("running", 4)
