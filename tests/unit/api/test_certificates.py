"""What people are told of certificates."""

import msgspec
import pytest

from appliance.errors import NotFound, Refused
from appliance.model.certificate import DAY, HeldCertificate, validity
from appliance.model.node import NodeSpec
from appliance.security.ssh import key_fingerprint, make_ssh_key
from tests.unit.api.cluster_in_memory import InMemory

NOW = 1_767_225_600.0


def hold(cluster: InMemory, issued: float) -> None:
    held = HeldCertificate(node="n1", use="host", validity=validity(issued, 90 * DAY))
    cluster.write(cluster.state.held.put(held.name, held))


def test_those_that_end_first_are_on_top(cluster: InMemory) -> None:
    hold(cluster, NOW)
    host, authority = cluster.ask("GET", "/api/certificates")
    assert host == {
        "kind": "host",
        "of": "one",
        "for": "a node, towards managers",
        "valid_until": "2026-04-01T00:00:00Z",
        "renews_at": "2026-03-02T00:00:00Z",
        "state": "valid",
    }
    assert (authority["kind"], authority["renews_at"]) == ("authority", "")


def test_status_says_what_is_late(cluster: InMemory) -> None:
    hold(cluster, NOW)
    assert cluster.ask("GET", "/api/status")["certificates"]["late"] == []
    hold(cluster, NOW - 80 * DAY)
    assert [row["state"] for row in cluster.ask("GET", "/api/status")["certificates"]["late"]] == ["late"]
    hold(cluster, NOW - 91 * DAY)
    summary = cluster.ask("GET", "/api/status")["certificates"]
    assert (summary["next"]["kind"], summary["next"]["state"]) == ("host", "expired")


@pytest.fixture
def agent(cluster: InMemory) -> NodeSpec:
    """``two``, which joined with a key."""
    node = NodeSpec(id="n2", name="two", number=2, address="10.0.0.2", ssh_key=make_ssh_key()[1])
    cluster.write(cluster.state.nodes.put("n2", node))
    return node


def test_a_revoked_node_is_shown_as_such(cluster: InMemory, agent: NodeSpec) -> None:
    fingerprint = key_fingerprint(agent.ssh_key)
    for _ in range(2):
        answer = cluster.ask("POST", "/api/certificates/revoke", {"node": "two"})
        assert answer == {"node": "two", "revoked": [fingerprint], "manager": False}
    assert cluster.state.revoked.all()[fingerprint].node == "n2"
    assert cluster.ask("GET", "/api/nodes/two")["message"] == "its key is revoked"
    assert cluster.ask("GET", "/api/nodes/one")["message"] == ""


def test_of_a_manager_both_keys_are_revoked(cluster: InMemory, agent: NodeSpec) -> None:
    manager = msgspec.structs.replace(agent, roles=("manager", "agent"))
    held = HeldCertificate(node="n2", use="user", validity=validity(NOW, DAY), key="SHA256:user")
    cluster.write(cluster.state.nodes.put("n2", manager), cluster.state.held.put(held.name, held))
    cluster.ask("POST", "/api/certificates/revoke", {"node": "two"})
    assert set(cluster.state.revoked.all()) == {"SHA256:user", key_fingerprint(agent.ssh_key)}


def test_the_only_manager_is_not_revoked(cluster: InMemory) -> None:
    with pytest.raises(Refused, match="only manager"):
        cluster.ask("POST", "/api/certificates/revoke", {"node": "one"})
    with pytest.raises(NotFound):
        cluster.ask("POST", "/api/certificates/revoke", {"node": "none"})


def test_a_node_that_is_removed_is_revoked(cluster: InMemory, agent: NodeSpec) -> None:
    held = HeldCertificate(node="n2", use="host", validity=validity(NOW, DAY))
    cluster.write(cluster.state.held.put(held.name, held))
    cluster.ask("DELETE", "/api/nodes/two")
    assert set(cluster.state.revoked.all()) == {key_fingerprint(agent.ssh_key)}
    assert cluster.state.held.all() == {}
