"""Stable addresses and isolation on three hosts: in turn, ready instances only, healed, and without any manager."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.lab.cluster import Cluster
from tests.lab.host import CommandFailed, Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SPEC = """
service: turns
POLICY
deploys:
  web:
    replicas: 3
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main:
        image: appliance/busybox
        command:
          - sh
          - -c
          - mkdir -p /tmp/www; echo $$NAME > /tmp/www/index.html; touch /tmp/well; exec httpd -f -p 8080 -h /tmp/www
        env: {NAME: "${instance.name}"}
        ports: {http: 8080}
        health: {ready: {exec: [test, -e, /tmp/well], every: 200ms, failures: 1}}
"""
OTHER = """
service: NAME
deploys:
  asker:
    replicas: 3
    stop_grace: 0s
    placement: {spread: node}
    containers: {main: {image: appliance/busybox, command: [sleep, "1000000"]}}
"""
# One line for each connection: when it was answered, and by whom.
CLIENT = """
import sys, time, urllib.request
url, end = f"http://{sys.argv[1]}:8080/", time.monotonic() + float(sys.argv[3])
for _ in range(int(sys.argv[2])):
    try:
        said = urllib.request.urlopen(url, timeout=2).read().decode().strip()
    except OSError as error:
        said = repr(error)
    print(time.time(), said, flush=True)
    if time.monotonic() > end:
        break
"""
INSTANCES = {"turns/web-0", "turns/web-1", "turns/web-2"}


@pytest.fixture(scope="module")
def cluster(three_nodes: Cluster) -> Iterator[Cluster]:
    three_nodes.apply(SPEC.replace("POLICY", ""))
    for name in ("friend", "stranger"):
        three_nodes.apply(OTHER.replace("NAME", name))
    yield three_nodes


@pytest.fixture(scope="module")
def virtual(cluster: Cluster) -> str:
    """The deploy's stable address, once every host leads to all its instances."""
    address = eventually(lambda: cluster.ps("turns")[0]["virtual"], timeout=10)
    for host in cluster.hosts:
        eventually(lambda: set(answers(host, address, 30)) == INSTANCES, timeout=20)  # noqa: B023
    return str(address)


def answers(host: Host, address: str, times: int = 1) -> Counter[str]:
    """Who answered how many of so many connections of the host itself."""
    said = host.run(sys.executable, "-c", CLIENT, address, str(times), "60", timeout=120).stdout
    return Counter(line.partition(" ")[2] for line in said.splitlines())


def asked(cluster: Cluster, instance: str, address: str, times: int = 1) -> Counter[str]:
    """The same of connections of an instance; empty when none was answered."""
    script = f"for i in $(seq {times}); do wget -T 2 -q -O - http://{address}:8080/; done"
    try:
        said = cluster.manager.appliance("exec", instance, "--", "sh", "-c", script, timeout=120).stdout
    except CommandFailed:
        return Counter()
    return Counter(said.split())


def even(counts: Counter[str]) -> bool:
    return set(counts) == INSTANCES and all(abs(count * 3 / counts.total() - 1) <= 0.1 for count in counts.values())


def test_connections_are_spread_evenly_from_hosts_and_instances(cluster: Cluster, virtual: str) -> None:
    for host in cluster.hosts:
        counts = answers(host, virtual, 600)
        assert even(counts), counts
    for instance in ("friend/asker-0", "friend/asker-1", "turns/web-0", "turns/web-2"):
        counts = asked(cluster, instance, virtual, 90)
        assert even(counts), (instance, counts)


def test_its_name_leads_to_it(cluster: Cluster, virtual: str) -> None:
    eventually(lambda: asked(cluster, "friend/asker-0", "virtual.web.turns", 3).total() == 3, timeout=10)


def test_an_instance_that_is_not_ready_gets_no_new_connection(cluster: Cluster, virtual: str) -> None:
    host = cluster.hosts[1]
    client = host.spawn(sys.executable, "-c", CLIENT, virtual, "1000000", "12")
    eventually(lambda: client.log.read_text().count("\n") > 10, timeout=10)
    cluster.manager.appliance("exec", "turns/web-2", "--", "rm", "/tmp/well")
    gone = time.time()
    client.wait(30)
    lines = [line.partition(" ")[::2] for line in client.log.read_text().splitlines()]
    late = max(float(at) for at, said in lines if said == "turns/web-2") - gone
    print(f"the last connection came {late:.2f} s after it had stopped being well")
    assert {said for _, said in lines} == INSTANCES, "no connection failed"
    assert late < 5.0
    cluster.manager.appliance("exec", "turns/web-2", "--", "touch", "/tmp/well")
    eventually(lambda: set(answers(host, virtual, 30)) == INSTANCES, timeout=10)


@pytest.mark.parametrize("flush", [Lab.flush_rules, lambda _, host: host.run("iptables", "-F")])
def test_what_somebody_flushed_is_back_within_ten_seconds(
    cluster: Cluster, virtual: str, flush: Callable[[Lab, Host], object]
) -> None:
    host = cluster.hosts[1]
    flush(cluster.lab, host)
    eventually(lambda: set(answers(host, virtual, 6)) == INSTANCES, timeout=10)


def test_isolation_keeps_strangers_out_on_every_node(cluster: Cluster, virtual: str) -> None:
    ours = {row["instance"]: row["ip"] for row in cluster.ps("turns")}
    assert asked(cluster, "stranger/asker-0", virtual, 3).total() == 3
    cluster.apply(SPEC.replace("POLICY", "isolate: true\nallow: [friend]"))
    eventually(lambda: not asked(cluster, "stranger/asker-0", virtual), timeout=10)
    for ip in (*ours.values(), virtual):  # of its own node and of the others
        assert not asked(cluster, "stranger/asker-1", ip)
        assert asked(cluster, "friend/asker-1", ip).total() == 1
        assert asked(cluster, "turns/web-0", ip).total() == 1
    for host in cluster.hosts:
        assert set(answers(host, virtual, 6)) == INSTANCES, "nodes come in: their probes and the entry"
    cluster.apply(SPEC.replace("POLICY", ""))
    eventually(lambda: asked(cluster, "stranger/asker-0", virtual).total() == 1, timeout=10)


def test_nodes_balance_while_no_manager_runs(cluster: Cluster, virtual: str) -> None:
    cluster.manager.appliance("stop", timeout=60)
    for host in cluster.hosts[1:]:
        assert even(answers(host, virtual, 90))
        cluster.lab.flush_rules(host)
        eventually(lambda: even(answers(host, virtual, 30)), timeout=10)  # noqa: B023
