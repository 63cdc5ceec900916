"""Decisions about one service, played against nodes that do what they are told."""

from dataclasses import replace

import msgspec

from appliance.model.container import Container
from appliance.model.instance import Instance, InstanceStatus
from appliance.model.service import Deploy, Revision, Service, ServiceHead
from appliance.orchestrator.services import Alter, Create, Decision, Forget, ForgetService, Snapshot, decide


def deploy(name: str, rank: int = 0, replicas: int = 1, image: str = "a:1") -> Deploy:
    return Deploy(name=name, rank=rank, replicas=replicas, containers={"main": Container(image=image)})


def spec(*deploys: Deploy) -> Service:
    return Service(name="s", deploys={each.name: each for each in deploys})


def snapshot(*specs: Service, **head: object) -> Snapshot:
    found = msgspec.convert({"service": "s", "revision": len(specs), **head}, ServiceHead)
    return Snapshot(found, revisions(*specs), {}, frozenset(), {})


def revisions(*specs: Service) -> dict[int, Revision]:
    return {
        number: Revision(service="s", number=number, spec=each, author="a", created_at="")
        for number, each in enumerate(specs, 1)
    }


def written(seen: Snapshot, decisions: list[Decision]) -> Snapshot:
    """The snapshot once the decisions are in the store and everything is bound."""
    instances = dict(seen.instances)
    for decision in decisions:
        if isinstance(decision, Create | Alter):
            instances[decision.instance.name] = decision.instance
        elif isinstance(decision, Forget):
            del instances[decision.instance]
    return replace(seen, instances=instances, bound=frozenset(instances))


def obeyed(seen: Snapshot) -> Snapshot:
    """The snapshot once the nodes have done all they were told."""
    return replace(seen, statuses={name: status(instance) for name, instance in seen.instances.items()})


def status(instance: Instance) -> InstanceStatus:
    return InstanceStatus(
        instance=instance.name,
        node="n",
        state=instance.desired,
        ready=instance.desired == "running",
        revision=instance.revision,
        restart=instance.restart,
    )


def settle(seen: Snapshot) -> Snapshot:
    for _ in range(50):
        decisions = decide(seen)
        if not decisions:
            return seen
        seen = obeyed(written(seen, decisions))
    raise AssertionError("the decisions never end")


def names(decisions: list[Decision]) -> list[str]:
    return [each.instance.name for each in decisions if isinstance(each, Create | Alter)]


def test_a_higher_rank_waits_until_the_lower_is_ready() -> None:
    seen = snapshot(spec(deploy("db"), deploy("web", 1, 2)))
    first = decide(seen)
    assert names(first) == ["s/db-0"]
    assert decide(written(seen, first)) == []
    assert names(decide(obeyed(written(seen, first)))) == ["s/web-0", "s/web-1"]


def test_what_is_as_wanted_needs_no_decision() -> None:
    seen = settle(snapshot(spec(deploy("db"), deploy("web", 1, 3))))
    assert sorted(seen.instances) == ["s/db-0", "s/web-0", "s/web-1", "s/web-2"]
    assert decide(seen) == []


def test_an_update_touches_a_quarter_at_a_time() -> None:
    old, new = spec(deploy("web", 0, 8)), spec(deploy("web", 0, 8, "a:2"))
    seen = settle(snapshot(old))
    seen = replace(seen, head=ServiceHead(service="s", revision=2), revisions=revisions(old, new))
    first = decide(seen)
    assert len(names(first)) == 2
    assert decide(written(seen, first)) == []
    assert {each.revision for each in settle(seen).instances.values()} == {2}


def test_an_update_leaves_deploys_alone_that_it_does_not_change() -> None:
    old, new = spec(deploy("db"), deploy("web")), spec(deploy("db"), deploy("web", image="a:2"))
    seen = settle(snapshot(old))
    seen = settle(replace(seen, head=ServiceHead(service="s", revision=2), revisions=revisions(old, new)))
    assert {name: each.revision for name, each in seen.instances.items()} == {"s/db-0": 1, "s/web-0": 2}


def test_a_broken_instance_is_updated_before_those_that_serve() -> None:
    old, new = spec(deploy("web", 0, 3)), spec(deploy("web", 0, 3, "a:2"))
    seen = settle(snapshot(old))
    statuses = dict(seen.statuses)
    statuses["s/web-2"] = msgspec.structs.replace(statuses["s/web-2"], ready=False)
    seen = replace(seen, head=ServiceHead(service="s", revision=2), revisions=revisions(old, new), statuses=statuses)
    assert names(decide(seen)) == ["s/web-2"]


def test_scaling_down_removes_the_highest_index_first_and_forgets_it_when_gone() -> None:
    seen = settle(snapshot(spec(deploy("web", 0, 4))))
    seen = replace(seen, head=ServiceHead(service="s", revision=1, scale={"web": 2}))
    removal = decide(seen)
    assert names(removal) == ["s/web-3", "s/web-2"]
    seen = written(seen, removal)
    assert decide(seen) == []
    assert decide(obeyed(seen)) == [Forget("s/web-2"), Forget("s/web-3")]


def test_an_instance_without_a_node_is_forgotten_at_once() -> None:
    seen = settle(snapshot(spec(deploy("web", 0, 1))))
    seen = replace(seen, head=ServiceHead(service="s", revision=1, scale={"web": 0}))
    seen = replace(written(seen, decide(seen)), bound=frozenset())
    assert decide(seen) == [Forget("s/web-0")]


def test_a_deleted_service_goes_in_reverse_order_of_rank_and_is_then_forgotten() -> None:
    seen = settle(snapshot(spec(deploy("db"), deploy("web", 1))))
    seen = replace(seen, head=ServiceHead(service="s", revision=1, deleted=True))
    assert names(decide(seen)) == ["s/web-0"]
    seen = obeyed(written(seen, decide(seen)))
    assert names(decide(seen)) == ["s/db-0"]
    seen = obeyed(written(seen, decide(seen)))
    assert decide(seen) == [Forget("s/db-0"), ForgetService("s")]


def test_restarts_and_stops_of_single_instances_are_passed_on() -> None:
    seen = settle(snapshot(spec(deploy("web", 0, 2))))
    seen = replace(seen, head=ServiceHead(service="s", revision=1, restarts={"s/web-0": 1}, stopped=("s/web-1",)))
    after = written(seen, decide(seen)).instances
    assert (after["s/web-0"].restart, after["s/web-1"].desired) == (1, "stopped")


def test_a_stopped_instance_does_not_hold_up_higher_ranks() -> None:
    seen = snapshot(spec(deploy("db"), deploy("web", 1)), stopped=("s/db-0",))
    assert "s/web-0" in settle(seen).instances
