"""What is used beside what there is."""

from appliance.link.messages import Heartbeat
from appliance.model.usage import InstanceUsage, NodeUsage
from tests.unit.api.cluster_in_memory import InMemory


def test_the_busiest_instance_comes_first_and_foreign_ones_not_at_all(cluster: InMemory) -> None:
    cluster.run("shop/web-0")
    cluster.run("shop/web-1")
    cluster.run("shop/web-2", node="n2")
    used = [InstanceUsage(instance=f"shop/web-{n}", cpu=100 * n, memory=5) for n in range(3)]
    usage = NodeUsage(cpu=700, memory=9, instances=tuple(used))
    cluster.context.measurements.heard("n1", Heartbeat(clock=0, usage=usage))
    top = cluster.ask("GET", "/api/top")
    assert [(row["instance"], row["cpu"]) for row in top["instances"]] == [("shop/web-1", 100), ("shop/web-0", 0)]
    assert [(row["node"], row["cpu"]) for row in top["nodes"]] == [("one", 700)]


def test_a_node_that_is_gone_has_no_measurement(cluster: InMemory) -> None:
    cluster.context.measurements.heard("n1", Heartbeat(clock=0, usage=NodeUsage(cpu=1, memory=1)))
    cluster.context.measurements.gone("n1")
    assert [row["cpu"] for row in cluster.ask("GET", "/api/top")["nodes"]] == [None]
