"""`/api/net/check`, and what is said of a node that finds the overlay in trouble."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from appliance.api.complaints import with_complaints
from appliance.api.net import Check, checked
from appliance.api.why import explain
from appliance.errors import LinkDown, NotFound
from appliance.link.messages import Heartbeat, ProbeRequest
from appliance.link.probing import Answers
from appliance.model.measurement import Measurement
from appliance.model.node import NodeSpec, NodeStatus
from tests.unit.api.cluster_in_memory import InMemory

WELL: dict[str, Any] = {"host": True, "overlay": True, "latency": 0.0012, "size": 1450, "stream": "passes"}


class Nodes:
    """Three of them; `bad` names the ways (from, to) that carry nothing, `dumb` the nodes that say nothing."""

    def __init__(self, cluster: InMemory) -> None:
        self.state = cluster.state
        self.bad: set[tuple[str, str]] = set()
        self.dumb: set[str] = set()
        self.context = replace(cluster.context, probe=self.probe)
        for number in (21, 22, 23):
            node = NodeSpec(id=f"n-{number}", name=f"m{number}", number=number, address=f"192.0.2.{number}")
            status = NodeStatus(id=node.id, state="ready", since="", vtep_mac="02:00:00:00:00:01")
            cluster.write(cluster.state.nodes.put(node.id, node), cluster.state.node_status.put(node.id, status))

    def probe(self, requests: Mapping[str, ProbeRequest]) -> Answers:
        return {
            node: LinkDown("It says nothing.") if node in self.dumb else self._measured(node, request)
            for node, request in requests.items()
        }

    def _measured(self, node: str, request: ProbeRequest) -> tuple[Measurement, ...]:
        silent = {"overlay": False, "latency": None, "size": 0, "stream": "untried"}
        return tuple(
            Measurement(node=one.node, wanted=1450, **WELL | (silent if (node, one.node) in self.bad else {}))
            for one in request.peers
        )


@pytest.fixture
def nodes(cluster: InMemory) -> Nodes:
    return Nodes(cluster)


def test_every_way_between_the_nodes_of_the_overlay_is_measured(nodes: Nodes) -> None:
    found = checked(nodes.context, Check(nodes=("m21", "m22", "m23")))
    assert {(way.source, way.target) for way in found.ways} >= {
        (one, other) for one in ("m21", "m22", "m23") for other in ("m21", "m22", "m23") if one != other
    }
    assert found.ok
    assert found.ways[0].latency_ms == 1.2


def test_one_nodes_ways_are_those_from_it_and_to_it(nodes: Nodes) -> None:
    found = checked(nodes.context, Check(nodes=("m21",)))
    assert all("m21" in (way.source, way.target) for way in found.ways)
    assert {way.source for way in found.ways} >= {"m22", "m23"}


def test_a_bad_way_is_named_with_its_remedy(nodes: Nodes) -> None:
    nodes.bad.add(("n-21", "n-22"))
    found = checked(nodes.context, Check(nodes=("m21",)))
    assert not found.ok
    [bad] = [way for way in found.ways if not way.ok]
    assert (bad.source, bad.target) == ("m21", "m22")
    assert "8472" in bad.troubles[0]["next"]


def test_a_node_that_cannot_be_asked_is_named(nodes: Nodes) -> None:
    nodes.dumb.add("n-23")
    found = checked(nodes.context, Check(nodes=("m23",)))
    assert not found.ok
    assert {"node": "m23", "why": "It says nothing."} in found.silent


def test_an_unknown_node_is_refused(nodes: Nodes) -> None:
    with pytest.raises(NotFound):
        checked(nodes.context, Check(nodes=("nobody",)))


def test_why_repeats_what_the_node_itself_complains_of(nodes: Nodes) -> None:
    assert with_complaints(nodes.context, explain(nodes.state, "m21")) == explain(nodes.state, "m21")
    bad = Measurement(node="n-22", host=True, overlay=False, wanted=1450)
    nodes.context.ways.heard("n-21", Heartbeat(clock=0.0, overlay=(bad,)))
    said = with_complaints(nodes.context, explain(nodes.state, "m21")).reasons
    assert said[-1].startswith("m22 answers m21, but not through the overlay. To do: let UDP port 8472 pass")
