"""The entry leaves out what is not ready as soon as its probe has found that out."""

import time

import pytest

from tests.lab.cluster import Cluster, fetch
from tests.lab.one_way import VISITOR
from tests.lab.waiting import eventually

pytestmark = pytest.mark.timed  # seconds are promised here

SPEC = """
service: shop
deploys:
  page:
    replicas: 2
    placement: {spread: node}
    containers:
      main:
        image: appliance/busybox
        command:
          [sh, -c, "mkdir /tmp/www; echo $${APPLIANCE_INSTANCE} > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www"]
        ports: {http: 80}
        health: {ready: {exec: [test, "!", -e, /tmp/unwell], every: 500ms, failures: 1}}
entry:
  - {host: page.local, to: page/http}
"""


@pytest.fixture(scope="module")
def cluster(one_node: Cluster) -> Cluster:
    """A manager, whose entry is asked, and an agent; each runs an instance."""
    one_node.join(one_node.lab.host("a1"))
    one_node.apply(SPEC)
    return one_node


def test_an_instance_that_is_not_ready_is_left_out_within_a_second(cluster: Cluster) -> None:
    """Counted from the moment when it becomes unwell; its probe finds that out half a second later at most."""
    agent = cluster.node_name(cluster.hosts[1])
    unwell = next(str(row["instance"]) for row in cluster.ps("shop") if row["node"] == agent)
    asking = f"while :; do echo $(date +%s.%N) $(curl -s -H 'Host: page.local' {cluster.manager.address}); done"
    taken = []
    for _ in range(5):
        told = cluster.hosts[1].spawn(*VISITOR, "sh", "-c", asking)
        eventually(lambda: unwell in told.log.read_text(), timeout=10)  # noqa: B023
        cluster.manager.appliance("exec", unwell, "--", "touch", "/tmp/unwell")
        began = time.time()
        eventually(lambda: not ready(cluster, unwell), timeout=10)
        eventually(lambda: last(told.log.read_text(), unwell) < time.time() - 2.0, timeout=20)  # noqa: B023
        told.kill()
        taken.append(max(0.0, last(told.log.read_text(), unwell) - began))
        cluster.manager.appliance("exec", unwell, "--", "rm", "/tmp/unwell")
        eventually(lambda: unwell in fetch(cluster.hosts[1], f"http://{cluster.manager.address}/", *PAGE), timeout=10)
    print(f"unwell to out of the entry, seconds: {', '.join(f'{each:.2f}' for each in sorted(taken))}")
    assert sorted(taken)[2] < 1.5


PAGE = ("-H", "Host: page.local")


def ready(cluster: Cluster, instance: str) -> bool:
    return next(bool(row["ready"]) for row in cluster.ps("shop") if row["instance"] == instance)


def last(log: str, instance: str) -> float:
    """Seconds since 1970 of the last answer of an instance."""
    lines = [line.split() for line in log.splitlines()[:-1]]
    return max(float(line[0]) for line in lines if instance in line)
