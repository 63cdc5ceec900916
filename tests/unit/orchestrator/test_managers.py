"""The next step towards the managers that are wanted."""

import pytest

from appliance.model.cluster import etcd_peer_url
from appliance.model.node import NodeFacts, NodeSpec, NodeState, NodeStatus
from appliance.orchestrator.managers import (
    Add,
    Equip,
    Promote,
    Remove,
    Retire,
    Seen,
    Step,
    TurnLink,
    etcd_states,
    loss,
    next_steps,
)
from appliance.store.membership import Member


def node(number: int, *, manager: bool = True, dial: str = "agent") -> NodeSpec:
    return NodeSpec(
        id=f"n{number}",
        name=f"m{number}",
        number=number,
        address=f"10.0.0.{number}",
        roles=("manager", "agent") if manager else ("agent",),
        dial="manager" if dial == "manager" else "agent",
    )


def status(number: int, *, state: NodeState = "ready", manager: bool = True, lost: str = "") -> NodeStatus:
    facts = NodeFacts(
        version="1",
        architecture="x86_64",
        cpu=1,
        memory=1,
        kernel="",
        engine="",
        boot_id="",
        manager=manager,
        lost_member=lost,
    )
    return NodeStatus(id=f"n{number}", state=state, since="", facts=facts)


def voter(number: int) -> Member:
    url = etcd_peer_url(f"10.0.0.{number}")
    return Member(number, f"n{number}", url, url)


def learner(number: int, *, started: bool = False) -> Member:
    url = etcd_peer_url(f"10.0.0.{number}")
    return Member(number, f"n{number}" if started else "", url, url if started else "", learner=True)


def steps(
    nodes: list[NodeSpec], members: list[Member], statuses: list[NodeStatus], down: tuple[int, ...] = ()
) -> tuple[Step, ...]:
    return next_steps(
        {each.id: each for each in nodes},
        {each.id: each for each in statuses},
        Seen(tuple(members), dict.fromkeys(down, "connection refused")),
    )


def test_nothing_is_done_while_all_is_as_wanted() -> None:
    assert steps([node(1), node(2, manager=False)], [voter(1)], [status(1), status(2, manager=False)]) == ()


def test_a_manager_without_a_member_gets_a_learner() -> None:
    assert steps([node(1), node(2)], [voter(1)], [status(1), status(2, manager=False)]) == (Add(node(2)),)


def test_a_node_that_is_away_is_waited_for() -> None:
    assert steps([node(1), node(2)], [voter(1)], [status(1), status(2, state="unreachable")]) == ()
    assert steps([node(1), node(2)], [voter(1)], [status(1)]) == ()


def test_there_is_one_learner_at_a_time() -> None:
    nodes, statuses = [node(1), node(2), node(3)], [status(1), status(2, manager=False), status(3, manager=False)]
    assert steps(nodes, [voter(1)], statuses) == (Add(node(2)),)
    assert steps(nodes, [voter(1), learner(2)], statuses) == (Equip("n2", learner(2)),)


def test_a_learner_that_has_started_is_promoted() -> None:
    started = learner(2, started=True)
    assert steps([node(1), node(2)], [voter(1), started], [status(1), status(2)]) == (Promote(started),)


def test_a_new_manager_opens_its_links_itself_from_its_start_on() -> None:
    nodes = [node(1), node(2, dial="manager")]
    statuses = [status(1), status(2)]
    assert steps(nodes, [voter(1), learner(2)], statuses) == (Equip("n2", learner(2)),)
    started = learner(2, started=True)
    assert steps(nodes, [voter(1), started], statuses) == (TurnLink(nodes[1]), Promote(started))


@pytest.mark.parametrize("started", [False, True])
def test_a_learner_whose_node_is_away_makes_room_only_when_another_one_waits(started: bool) -> None:
    stuck = learner(2, started=started)
    away = status(2, state="unreachable")
    assert steps([node(1), node(2)], [voter(1), stuck], [status(1), away]) == ()
    (step,) = steps([node(1), node(2), node(3)], [voter(1), stuck], [status(1), away, status(3, manager=False)])
    assert isinstance(step, Remove) and step.member == stuck


def test_who_is_no_manager_any_more_loses_its_member_and_then_its_office() -> None:
    nodes = [node(1), node(2), node(3, manager=False)]
    statuses = [status(number) for number in (1, 2, 3)]
    (step,) = steps(nodes, [voter(1), voter(2), voter(3)], statuses)
    assert step == Remove(voter(3), "its node is no manager")
    assert steps(nodes, [voter(1), voter(2)], statuses) == (Retire(node(3, manager=False)),)
    statuses[2] = status(3, manager=False)
    assert steps(nodes, [voter(1), voter(2)], statuses) == ()


def test_the_member_of_a_node_that_was_removed_goes() -> None:
    (step,) = steps([node(1), node(2)], [voter(1), voter(2), voter(3)], [status(1), status(2)], down=(3,))
    assert isinstance(step, Remove) and step.member == voter(3)


def test_a_member_that_lost_its_data_is_replaced() -> None:
    nodes, statuses = [node(1), node(2), node(3)], [status(1), status(2), status(3, lost="3")]
    (step,) = steps(nodes, [voter(1), voter(2), voter(3)], statuses, down=(3,))
    assert step == Remove(voter(3), "its data is lost")
    assert steps(nodes, [voter(1), voter(2)], statuses) == (Add(node(3)),)


def test_nothing_is_removed_that_the_majority_needs() -> None:
    nodes = [node(1), node(2, manager=False), node(3)]
    assert steps(nodes, [voter(1), voter(2), voter(3)], [status(1), status(2)], down=(3,)) == ()


@pytest.mark.parametrize(
    ("members", "down", "leaving", "refused"),
    [
        (1, (), 1, True),
        (2, (), 2, False),
        (2, (2,), 1, True),
        (3, (), 3, False),
        (3, (3,), 3, False),
        (3, (3,), 2, True),
        (4, (4,), 1, False),
        (5, (4, 5), 1, True),
        (5, (4, 5), 5, False),
    ],
)
def test_more_than_half_of_the_others_have_to_serve(
    members: int, down: tuple[int, ...], leaving: int, refused: bool
) -> None:
    seen = Seen(tuple(map(voter, range(1, members + 1))), dict.fromkeys(down, "down"))
    assert bool(loss(seen, voter(leaving))) == refused


def test_a_learner_is_never_missed() -> None:
    assert loss(Seen((voter(1), learner(2))), learner(2)) == ""


def test_the_state_of_each_managers_etcd() -> None:
    nodes = {each.id: each for each in (node(1), node(2), node(3), node(4), node(5, manager=False))}
    seen = Seen((voter(1), voter(2), learner(3, started=True)), {2: "connection refused"})
    assert etcd_states(nodes, seen) == {"n1": "healthy", "n2": "unreachable", "n3": "learner", "n4": "joining"}
