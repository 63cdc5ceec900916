"""Who is made a manager, and who is one no more."""

from dataclasses import replace

import msgspec
import pytest

from appliance.api.server import all_routes
from appliance.errors import Conflict, Refused
from appliance.model.cluster import etcd_peer_url
from appliance.model.node import NodeFacts, NodeSpec, NodeState, NodeStatus, Role
from appliance.model.release import THIS_RELEASE
from appliance.orchestrator.managers import Seen
from tests.unit.api.cluster_in_memory import NOW, InMemory
from tests.unit.api.test_nodes import FACTS


def add(
    cluster: InMemory, number: int, *, manager: bool = False, state: NodeState = "ready", facts: NodeFacts | None = None
) -> str:
    """A node, if `manager` with a vote."""
    roles: tuple[Role, ...] = ("manager", "agent") if manager else ("agent",)
    name, address = f"n{number}", f"10.0.0.{number}"
    node = NodeSpec(id=name, name=name, number=number, address=address, roles=roles)
    status = NodeStatus(id=name, state=state, since=NOW, facts=facts)
    cluster.write(cluster.state.nodes.put(name, node), cluster.state.node_status.put(name, status))
    if manager:
        learner = cluster.membership.add_learner(etcd_peer_url(address))
        cluster.membership.start(name, etcd_peer_url(address))
        cluster.membership.promote(learner.id)
    return name


def states(cluster: InMemory) -> dict[str, str]:
    return {row["node"]: row["etcd"] for row in cluster.ask("GET", "/api/status")["managers"]}


def test_a_connected_node_is_to_be_a_manager(cluster: InMemory) -> None:
    add(cluster, 2)
    assert cluster.ask("POST", "/api/nodes/n2/promote")["roles"] == ["manager", "agent"]
    assert states(cluster) == {"one": "healthy", "n2": "joining"}


def test_one_that_is_away_or_a_manager_already_is_refused(cluster: InMemory) -> None:
    add(cluster, 2, state="unreachable")
    with pytest.raises(Refused, match="n2 is not connected"):
        cluster.ask("POST", "/api/nodes/n2/promote")
    with pytest.raises(Refused, match="one is a manager already"):
        cluster.ask("POST", "/api/nodes/one/promote")


def test_one_of_another_release_is_refused(cluster: InMemory) -> None:
    add(cluster, 2, facts=msgspec.structs.replace(FACTS, release=THIS_RELEASE.number - 1, version="0.0.9"))
    with pytest.raises(Refused, match=r"n2 runs .*0\.0\.9") as refused:
        cluster.ask("POST", "/api/nodes/n2/promote")
    assert "one release" in refused.value.next


def test_more_than_five_are_refused(cluster: InMemory) -> None:
    for number in range(2, 6):
        add(cluster, number, manager=True)
    add(cluster, 6)
    with pytest.raises(Refused, match="5 managers") as refused:
        cluster.ask("POST", "/api/nodes/n6/promote")
    assert "demote" in refused.value.next


def test_a_demoted_manager_is_an_agent_that_is_reached_as_was_said(cluster: InMemory) -> None:
    add(cluster, 2, manager=True)
    row = cluster.ask("POST", "/api/nodes/n2/demote", {"dial": "manager"})
    assert (row["roles"], row["dial"]) == (["agent"], "manager")


def test_the_only_manager_and_an_agent_are_not_demoted(cluster: InMemory) -> None:
    add(cluster, 2)
    with pytest.raises(Refused, match="cannot do without one") as refused:
        cluster.ask("POST", "/api/nodes/one/demote", {})
    assert "no other manager" in refused.value.why
    with pytest.raises(Refused, match="n2 is no manager"):
        cluster.ask("POST", "/api/nodes/n2/demote", {})


def test_nobody_goes_whom_the_majority_needs(cluster: InMemory) -> None:
    add(cluster, 2, manager=True)
    add(cluster, 3, manager=True, state="unreachable")
    cluster.membership.stop("n3")
    assert states(cluster) == {"one": "healthy", "n2": "healthy", "n3": "unreachable"}
    for name in ("one", "n2"):
        with pytest.raises(Refused, match="cannot do without") as refused:
            cluster.ask("POST", f"/api/nodes/{name}/demote", {})
        assert "of the other 2 managers 1 could vote" in refused.value.why
    assert cluster.ask("DELETE", "/api/nodes/n3")["removed"]


def test_a_dead_manager_stays_while_the_others_are_too_few_without_it(cluster: InMemory) -> None:
    for number in (2, 3):
        add(cluster, number, manager=True, state="unreachable")
    cluster.membership.stop("n2")
    cluster.membership.stop("n3")
    with pytest.raises(Refused, match="cannot do without n3"):
        cluster.ask("DELETE", "/api/nodes/n3")


def test_an_even_number_of_managers_is_explained(cluster: InMemory) -> None:
    def advice() -> str:
        return str(cluster.ask("GET", "/api/status")["cluster"]["advice"])

    assert advice() == ""
    add(cluster, 2, manager=True)
    assert "neither of which may fail" in advice()
    add(cluster, 3, manager=True)
    assert advice() == ""
    add(cluster, 4, manager=True)
    assert "only 1 of which may fail" in advice()


def test_a_token_for_a_manager_is_made(cluster: InMemory) -> None:
    assert cluster.ask("POST", "/api/tokens", {"role": "manager"})["role"] == "manager"


def test_what_somebody_changes_of_a_node_while_its_demotion_is_weighed_is_not_lost(cluster: InMemory) -> None:
    add(cluster, 2, manager=True)

    def looked() -> Seen:
        cluster.ask("POST", "/api/nodes/n2/labels", {"set": {"zone": "a"}, "remove": []})
        return Seen(cluster.membership.list())

    routes = all_routes(replace(cluster.context, members=looked))
    with pytest.raises(Conflict, match="changed it first"):
        replace(cluster, routes=routes).ask("POST", "/api/nodes/n2/demote", {})
    node = cluster.state.nodes.get("n2")
    assert node and (node.labels, node.roles) == ({"zone": "a"}, ("manager", "agent"))
