"""Certificates that end within half a minute: nobody notices that they are renewed, and nodes that were off come back.

APPLIANCE_CERTIFICATES=600:3600 tells the first part of the story with certificates of 600 s for an hour.
The tests are one story and run in this order.
"""

import itertools
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from appliance.model.moment import text_of_seconds
from tests.lab.callers import Callers
from tests.lab.clock import DAY
from tests.lab.cluster import Cluster, ca_of, fetch, running, up
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

LIFE, LASTING = (int(part) for part in os.environ.get("APPLIANCE_CERTIFICATES", "30:65").split(":"))
"""Seconds that certificates live, and for how long calls are made."""
WRONG = 4.0
"""Seconds for which clocks show one thing after all certificates were renewed by one that is ahead."""

SPEC = """
service: tick
deploys:
  web:
    replicas: 2
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main:
        image: appliance/busybox
        command: [sh, -c, "mkdir /tmp/www; echo tick > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www"]
        ports: {http: 80}
        health: {ready: {tcp: 80, every: 1s}}
entry:
  - {host: tick.local, to: web/http}
"""


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Cluster:
    cluster = Cluster(lab)
    cluster.hosts.append(lab.host("m1", own_clock=True))
    cluster.up = up(cluster.manager, "--certificate-life", f"{LIFE}s")
    cluster.join(lab.host("a1", own_clock=True))
    cluster.apply(SPEC)
    eventually(lambda: by_entry(cluster, cluster.hosts[1]), timeout=20)
    return cluster


def by_entry(cluster: Cluster, visitor: Host) -> str:
    """By TLS with a new connection, as everything here."""
    resolve = f"tick.local:443:{cluster.manager.address}"
    return fetch(visitor, "https://tick.local/", "--resolve", resolve, "--cacert", ca_of(cluster.manager))


def calls(cluster: Cluster, visitor: Host) -> dict[str, Callable[[], object]]:
    """By a visitor, who is on this host, and on the manager."""
    manager, agent = cluster.hosts
    ca, client = ca_of(manager), manager.data / "etc/appliance/pki/client/client"
    keys = ("--cert", client.with_suffix(".crt"), "--key", client.with_suffix(".key"))
    remote = next(row["instance"] for row in cluster.ps("tick") if cluster.host_of(row["node"]) is agent)
    number = itertools.count()
    return {
        "page": lambda: fetch(visitor, f"https://{manager.address}:8443/api/health", "--cacert", ca),
        "etcd": lambda: fetch(visitor, f"https://{manager.address}:2379/health", "--cacert", ca, *keys),
        "entry": lambda: by_entry(cluster, visitor),
        "write": lambda: manager.appliance("node", "label", cluster.node_name(agent), f"tick={next(number)}"),
        "link": lambda: manager.appliance("exec", remote, "--", "true"),
    }


def validities(cluster: Cluster) -> dict[str, str]:
    """Every certificate that ends within its cluster's life → when."""
    rows = cluster.manager.ask("certificate", "ls")
    return {f"{row['kind']} {row['of']}": row["valid_until"] for row in rows if row["kind"] != "authority"}


def test_renewals_fail_no_call(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    before = validities(cluster)
    assert len(before) == 7
    with Callers(calls(cluster, cluster.hosts[1]), every=max(1.0, LIFE / 120)) as callers:
        time.sleep(LASTING)  # nothing is waited for: this is how long it has to go well
    with capsys.disabled():
        print(f"\n{LASTING} s with certificates of {LIFE} s: {callers}")
    assert callers.failures() == {}
    after = validities(cluster)
    assert [name for name in before if after[name] <= before[name]] == []


def test_processes_that_start_again_connect_with_what_was_renewed(cluster: Cluster) -> None:
    for host, role in itertools.product(cluster.hosts, ("manager", "agent")):
        pid_file = host.data / f"run/appliance/{role}.pid"
        if pid_file.exists():
            host.run("kill", "-9", pid_file.read_text().split()[0])
    eventually(lambda: connected(cluster), timeout=60)


def test_a_cluster_that_was_off_for_longer_than_its_certificates_live_comes_back(cluster: Cluster) -> None:
    last = max(validities(cluster).values())
    for host in cluster.hosts:
        host.power_off()
    eventually(lambda: now() > last, timeout=LIFE + 10, every=1)
    for host in reversed(cluster.hosts):
        cluster.lab.reboot(host)
        host.start()
    eventually(lambda: connected(cluster), timeout=90)
    eventually(lambda: by_entry(cluster, cluster.hosts[1]), timeout=30)


def test_clocks_that_step_by_a_year_stop_nothing(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    manager, agent = cluster.hosts
    before, visitor = running(cluster.hosts, "tick"), cluster.lab.host("v1")
    with Callers(calls(cluster, visitor), every=0.5) as callers:
        manager.clock.set_ahead(370 * DAY)
        eventually(lambda: min(validities(cluster).values()) > now(30 * DAY), timeout=40, every=1)
        for days in ((-370, 370), (370, -370), (0, 0)):
            manager.clock.set_ahead(days[0] * DAY)
            agent.clock.set_ahead(days[1] * DAY)
            time.sleep(WRONG)  # nothing is waited for: this is how long it has to go well
    with capsys.disabled():
        print(f"\nclocks that are 370 days ahead, behind, and right again: {callers}")
    assert callers.failures() == {}
    assert running(cluster.hosts, "tick") == before
    eventually(lambda: connected(cluster), timeout=20)


def test_a_revoked_node_is_cut_off_within_ten_seconds_and_stays_so(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    manager, agent = cluster.hosts
    name = cluster.node_name(agent)
    begun = time.monotonic()
    manager.appliance("certificate", "revoke", name, "--yes")
    eventually(lambda: not agent.ask("status").get("connected", True), timeout=10)
    eventually(lambda: agent.address not in (manager.data / "var/lib/appliance/peers.json").read_text(), timeout=10)
    took = time.monotonic() - begun
    with capsys.disabled():
        print(f"\nrevoked -> cut off, and dropped from the overlay: {took:.1f} s")
    assert took < 10
    eventually(lambda: cluster.node_state(agent) == "unreachable", timeout=40)
    with pytest.raises(TimeoutError):
        eventually(lambda: cluster.node_state(agent) == "ready", timeout=8, every=1)


def test_its_host_joins_as_a_new_node_with_a_new_key(cluster: Cluster) -> None:
    manager, agent = cluster.hosts
    old = cluster.node_name(agent)
    agent.appliance("down", "--yes", timeout=120)
    agent.appliance("uninstall", "--purge", "--yes", timeout=120)
    manager.appliance("node", "evict", old, "--fenced", "--yes")
    manager.appliance("node", "rm", old)
    cluster.hosts.remove(agent)
    cluster.join(agent)


def test_the_authorities_are_replaced_while_a_node_is_off(cluster: Cluster) -> None:
    manager, agent = cluster.hosts
    before, name = ca_of(manager).read_text(), cluster.node_name(agent)
    agent.power_off()
    eventually(lambda: cluster.node_state(agent) == "unreachable", timeout=40, every=1)
    manager.appliance("certificate", "rotate")
    eventually(lambda: how_far(cluster)["step"] == "signing", timeout=60, every=1)
    refused = manager.appliance("certificate", "rotate", "--finish", check=False)
    assert refused.returncode == 3
    assert f"{name} has not heard of the new authorities; it is not connected" in refused.stderr
    cluster.lab.reboot(agent)
    agent.start()
    eventually(lambda: cluster.node_state(agent) == "ready", timeout=60)
    eventually(lambda: not how_far(cluster)["waits_for"], timeout=30, every=1)
    manager.appliance("certificate", "rotate", "--finish", "--wait", timeout=120)
    after = ca_of(manager).read_text()
    assert before not in after
    assert after.count("BEGIN") == 1
    eventually(lambda: (agent.data / "etc/appliance/pki/ca.crt").read_text() == after, timeout=20)
    fetch(agent, f"https://{manager.address}:8443/api/health", "--cacert", ca_of(manager))
    assert connected(cluster)


def how_far(cluster: Cluster) -> dict[str, Any]:
    """Of the rotation; nobody answers while etcd is started anew."""
    shown = cluster.manager.appliance("certificate", "rotate", "--show", "-o", "json", check=False)
    assert shown.returncode == 0, shown.stderr
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer


def connected(cluster: Cluster) -> bool:
    """Whether a manager answers that sees every node ready and has given none an expired certificate."""
    status = cluster.manager.appliance("status", "-o", "json", check=False)
    if status.returncode or "managers" not in (seen := json.loads(status.stdout)):
        return False
    ready = all(node["state"] == "ready" for node in seen["nodes"])
    return ready and min(validities(cluster).values()) > now()


def now(later: float = 0.0) -> str:
    return text_of_seconds(time.time() + later, "seconds")
