"""Everything that waits says for what."""

import msgspec

from appliance.orchestrator.explain import reasons_of
from tests.unit.orchestrator.stage import BAD, Stage, deploy, spec


def test_nothing_is_said_of_a_service_that_is_as_asked() -> None:
    stage = Stage()
    stage.apply(spec(deploy("db"), deploy("web", 1)))
    stage.settle()
    assert reasons_of(stage.seen()) == ()


def test_a_rank_that_waits_names_the_instance_it_waits_for() -> None:
    stage = Stage()
    stage.apply(spec(deploy("db"), deploy("web", 1)))
    stage.step()
    stage.bind()
    assert reasons_of(stage.seen()) == ("Rank 0 is not complete: s/db-0 is not ready.", "Rank 1 waits for rank 0.")


def test_a_pause_and_a_dependency_are_named() -> None:
    stage = Stage(waits_for=("dbs",))
    stage.apply(spec(deploy("web")))
    stage.want(paused=True)
    said = reasons_of(stage.seen())
    assert "s is paused: nothing is created, updated or removed until `appliance rollout resume s`." in said
    assert "s waits for dbs, which is not complete." in said


def test_a_failed_rollout_says_why_and_that_the_service_went_back() -> None:
    stage = Stage()
    stage.apply(spec(deploy("web")))
    stage.settle()
    stage.apply(spec(deploy("web", image=BAD)))
    stage.settle()
    assert reasons_of(stage.seen()) == (
        "The rollout of revision 2 failed: rank 0: s/web-0 failed 8 times in a row: main ended with code 3.",
        "s went back to revision 1, until another one is applied.",
    )


def test_an_update_that_waits_for_its_batch_says_how_many_may_be_away() -> None:
    stage = Stage()
    stage.apply(spec(deploy("web", 0, 2)))
    stage.settle()
    stage.apply(spec(deploy("web", 0, 2, "a:2")))
    stage.step()
    assert "s/web-1 waits for its update: of s/web at most 1 may be away." in reasons_of(stage.seen())


def test_what_is_on_a_node_that_cannot_be_reached_is_named() -> None:
    stage = Stage()
    stage.apply(spec(deploy("web")))
    stage.settle()
    stage.away = {"n1": 1.0}
    stage.want(deleted=True)
    stage.step()
    assert reasons_of(stage.seen()) == (
        "s/web-0 is on n1, which cannot be reached; it stays there until that is back.",
    )


def test_a_drain_that_leaves_an_instance_says_why() -> None:
    stage = Stage()
    stage.apply(spec(deploy("web", placement={"node": "n1"})))
    stage.settle()
    stage.nodes["n1"] = msgspec.structs.replace(stage.nodes["n1"], draining=True)
    assert reasons_of(stage.seen()) == (
        "s/web-0 is still on n1, which is drained. Its deploy is pinned to the node n1.",
    )
