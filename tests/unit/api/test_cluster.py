"""What the API says of the cluster, its nodes and tokens."""

import pytest

from appliance.errors import NotFound, Refused
from appliance.model.instance import Instance, Refusal
from appliance.model.node import NodeSpec, NodeStatus
from appliance.security.tokens import parse_token
from tests.unit.api.cluster_in_memory import NOW, InMemory


def test_status_has_the_shape_that_scripts_rely_on(cluster: InMemory) -> None:
    status = cluster.ask("GET", "/api/status")
    assert status["cluster"].items() >= {
        "id": "c1", "name": "test", "version": "0.1.0", "url": "https://10.0.0.1:8443", "state": "healthy"
    }.items()  # fmt: skip
    assert status["managers"] == [{"node": "one", "leader": True, "alive": True, "etcd": "healthy"}]
    assert set(status["nodes"][0]) >= {"name", "address", "roles", "state", "version", "dial"}


def test_a_manager_that_does_not_run_makes_the_cluster_degraded(cluster: InMemory) -> None:
    cluster.write(
        cluster.state.nodes.put("n2", NodeSpec(id="n2", name="two", number=2, address="", roles=("manager",)))
    )
    status = cluster.ask("GET", "/api/status")
    assert {row["node"]: row["alive"] for row in status["managers"]} == {"one": True, "two": False}
    assert status["cluster"]["state"] == "degraded"


def test_ps_has_the_shape_that_scripts_rely_on(cluster: InMemory) -> None:
    cluster.ask("POST", "/api/services", {"text": "shop web 1 appliance/busybox"})
    cluster.run("shop/web-0")
    [row] = cluster.ask("GET", "/api/ps", service="shop")
    assert set(row) >= {
        "instance", "service", "deploy", "node", "state", "ready", "ip", "restarts", "revision", "containers"
    }  # fmt: skip
    assert (row["node"], row["state"], row["ready"], row["ip"]) == ("one", "running", True, "10.0.1.2")


def test_instances_of_a_node_out_of_reach_are_unreachable_not_dead(cluster: InMemory) -> None:
    cluster.ask("POST", "/api/services", {"text": "shop web 1 appliance/busybox"})
    cluster.run("shop/web-0")
    cluster.write(cluster.state.node_status.put("n1", NodeStatus(id="n1", state="unreachable", since=NOW)))
    assert cluster.ask("GET", "/api/ps")[0]["state"] == "unreachable"
    assert cluster.ask("GET", "/api/status")["cluster"]["state"] == "degraded"


def test_an_instance_without_a_node_says_why(cluster: InMemory) -> None:
    cluster.ask("POST", "/api/services", {"text": "shop web 1 appliance/busybox"})
    name = "shop/web-0"
    cluster.write(
        cluster.state.instances.put(name, Instance(name=name, service="shop", deploy="web", index=0, revision=1)),
        cluster.state.refusals.put(name, Refusal(instance=name, reason="no node has 4 cores free")),
    )
    assert cluster.ask("GET", "/api/ps")[0]["state"] == "pending"
    assert "no node has 4 cores free" in cluster.ask("GET", "/api/why/shop/web-0")["reasons"]
    assert any("no node has 4 cores free" in each for each in cluster.ask("GET", "/api/why/shop")["reasons"])


def test_ps_of_an_unknown_service_is_not_found(cluster: InMemory) -> None:
    with pytest.raises(NotFound):
        cluster.ask("GET", "/api/ps", service="nothing")


def test_labels_are_set_and_removed(cluster: InMemory) -> None:
    cluster.ask("POST", "/api/nodes/one/labels", {"set": {"zone": "a", "disk": "fast"}})
    row = cluster.ask("POST", "/api/nodes/one/labels", {"set": {"zone": "b"}, "remove": ["disk"]})
    assert row["labels"] == {"zone": "b"}


def test_cordon_and_uncordon(cluster: InMemory) -> None:
    assert cluster.ask("POST", "/api/nodes/one/cordon")["cordoned"] is True
    assert cluster.ask("POST", "/api/nodes/n1/uncordon")["cordoned"] is False


def test_a_node_with_instances_is_not_forgotten(cluster: InMemory) -> None:
    cluster.write(cluster.state.nodes.put("n2", NodeSpec(id="n2", name="two", number=2, address="10.0.0.2")))
    cluster.run("shop/web-0", node="n2")
    with pytest.raises(Refused, match="1 instances live on two"):
        cluster.ask("DELETE", "/api/nodes/two")


def test_a_node_that_is_gone_is_forgotten(cluster: InMemory) -> None:
    cluster.write(cluster.state.nodes.put("n2", NodeSpec(id="n2", name="two", number=2, address="10.0.0.2")))
    cluster.ask("DELETE", "/api/nodes/two")
    assert [row["name"] for row in cluster.ask("GET", "/api/nodes")] == ["one"]


def test_a_token_leads_to_the_managers_and_is_listed_without_its_secret(cluster: InMemory) -> None:
    made = cluster.ask("POST", "/api/tokens", {})
    assert parse_token(made["token"]).managers == ("10.0.0.1:8443",)
    [row] = cluster.ask("GET", "/api/tokens")
    assert row["id"] == made["id"] and not any("secret" in name for name in row)
    cluster.ask("DELETE", f"/api/tokens/{made['id']}")
    assert cluster.ask("GET", "/api/tokens") == []
