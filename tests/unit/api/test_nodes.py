"""What the API says of nodes and does with them."""

import pytest

from appliance.errors import Refused, UsageError
from appliance.link.messages import Heartbeat
from appliance.model.container import Container, Resources
from appliance.model.instance import Instance
from appliance.model.node import Gpu, NodeFacts, NodeSpec, NodeState, NodeStatus
from appliance.model.service import Deploy, Revision, Service, ServiceHead
from appliance.model.skew import Skew
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.unit.api.cluster_in_memory import NOW, InMemory

FACTS = NodeFacts(
    version="0.1.0",
    architecture="x86_64",
    cpu=4000,
    memory=8 * 2**30,
    kernel="6",
    engine="docker",
    boot_id="b",
    gpus=(Gpu(id="GPU-1", model="Tesla T4"),),
    storage={"": 5, "nvme": 100},
)


def second(cluster: InMemory, state: NodeState = "ready") -> None:
    status = NodeStatus(id="n2", state=state, since=NOW, facts=FACTS)
    node = NodeSpec(id="n2", name="two", number=2, address="10.0.0.2")
    cluster.write(cluster.state.nodes.put("n2", node), cluster.state.node_status.put("n2", status))


def service(cluster: InMemory, deploy: Deploy) -> None:
    revision = Revision(
        service="s", number=1, spec=Service(name="s", deploys={"web": deploy}), author="", created_at=NOW
    )
    head = cluster.state.services.put("s", ServiceHead(service="s", revision=1))
    cluster.write(Put(keys.revision_key("s", 1), encode(revision)), head)


def web(**fields: object) -> Deploy:
    main = Container(image="a", resources=Resources(cpu=1500, memory=2**30))
    return Deploy(name="web", containers={"main": main}, **fields)  # type: ignore[arg-type]


def test_taints_are_set_and_removed(cluster: InMemory) -> None:
    cluster.ask("POST", "/api/nodes/one/taints", {"set": {"gpu": "", "team": "a"}})
    row = cluster.ask("POST", "/api/nodes/one/taints", {"set": {"team": "b"}, "remove": ["gpu"]})
    assert row["taints"] == {"team": "b"}
    with pytest.raises(UsageError):
        cluster.ask("POST", "/api/nodes/one/taints", {"set": {"": "x"}})


def test_what_a_node_keeps_for_itself_changes_piece_by_piece(cluster: InMemory) -> None:
    def reserve(**share: object) -> object:
        return cluster.ask("POST", "/api/nodes/one/reserve", share)["reserve"]

    assert reserve(cpu=500) == {"cpu": 500, "memory": None}
    assert reserve(memory=7) == {"cpu": 500, "memory": 7}
    assert reserve(default=True, memory=0) == {"cpu": None, "memory": 0}
    with pytest.raises(UsageError):
        reserve(cpu=-1)


def test_a_node_shows_what_is_promised_and_free(cluster: InMemory) -> None:
    second(cluster)
    service(cluster, web())
    cluster.run("s/web-0", node="n2")
    row = cluster.ask("GET", "/api/nodes/two")
    assert row["allocated"] == {"cpu": 1500, "memory": 2**30, "gpus": 0, "storage": {"nvme": 0}}
    kept = 8 * 2**30 // 20
    assert row["free"] == {"cpu": 2500, "memory": 7 * 2**30 - kept, "gpus": 1, "storage": {"nvme": 100}}


def test_a_drain_names_what_is_left_and_what_stays(cluster: InMemory) -> None:
    second(cluster)
    service(cluster, web(every_node=True))
    cluster.run("s/web-2", node="n2")
    row = cluster.ask("POST", "/api/nodes/two/drain")
    assert (row["cordoned"], row["draining"]) == (True, True)
    found = cluster.ask("GET", "/api/nodes/two/drain")
    assert found == {
        "node": "two",
        "draining": True,
        "left": [],
        "staying": {"s/web-2": "Its deploy runs on every node."},
    }
    service(cluster, web())
    assert cluster.ask("GET", "/api/nodes/two/drain")["left"] == ["s/web-2"]
    row = cluster.ask("POST", "/api/nodes/two/uncordon")
    assert (row["cordoned"], row["draining"], row["evicted"]) == (False, False, False)


def test_only_an_unreachable_node_is_evicted_and_only_on_a_persons_word(cluster: InMemory) -> None:
    second(cluster)
    with pytest.raises(Refused, match="two is ready"):
        cluster.ask("POST", "/api/nodes/two/evict", {"fenced": True})
    second(cluster, "unreachable")
    with pytest.raises(Refused, match="may still run"):
        cluster.ask("POST", "/api/nodes/two/evict", {})
    row = cluster.ask("POST", "/api/nodes/two/evict", {"fenced": True})
    assert (row["evicted"], row["cordoned"]) == (True, True)
    assert "two is evicted" in cluster.ask("GET", "/api/why/two")["reasons"][1]


def test_an_evicted_node_is_forgotten_with_what_is_left_on_it(cluster: InMemory) -> None:
    second(cluster, "unreachable")
    cluster.run("s/web-0", node="n2")
    with pytest.raises(Refused, match="instances live on two"):
        cluster.ask("DELETE", "/api/nodes/two")
    cluster.ask("POST", "/api/nodes/two/evict", {"fenced": True})
    assert cluster.ask("DELETE", "/api/nodes/two")["removed"]


def test_why_names_every_node_that_will_not_do(cluster: InMemory) -> None:
    second(cluster)
    cluster.ask("POST", "/api/nodes/two/taints", {"set": {"gpu": ""}})
    service(cluster, web())
    name = "s/web-0"
    wish = Instance(name=name, service="s", deploy="web", index=0, revision=1)
    cluster.write(cluster.state.instances.put(name, wish))
    assert cluster.ask("GET", f"/api/why/{name}")["nodes"] == [
        {"node": "one", "reason": "has less than 1.5 cores free"},
        {"node": "two", "reason": "has taints that it does not tolerate"},
    ]
    cluster.run(name)
    assert cluster.ask("GET", f"/api/why/{name}")["nodes"] == []


def test_a_nodes_clock_is_shown_and_a_wrong_one_is_said_to_be_wrong(cluster: InMemory) -> None:
    assert cluster.ask("GET", "/api/nodes/one")["skew"] is None
    cluster.context.clocks.heard("n1", Heartbeat(clock=0, skew=Skew(offset=-2.5, error=0.001)))
    assert cluster.ask("GET", "/api/nodes")[0]["skew"] == {"offset": -2.5, "error": 0.001}
    assert "2.5 s behind the manager's" in cluster.ask("GET", "/api/status")["nodes"][0]["message"]
