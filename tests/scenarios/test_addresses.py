"""Nodes and the manager get other addresses, and no container notices.

The tests are one story and run in this order.
"""

import json
from pathlib import Path

import pytest

from tests.lab.cluster import Cluster, running
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

HEALED_WITHIN = 10.0
SPEC = """
service: stay
deploys:
  main:
    replicas: 3
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main: {image: "lab/stay:1", command: ["sleep", "1000000"]}
"""


@pytest.fixture(scope="module")
def cluster(three_nodes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    three_nodes.load_image(docker_archive(tmp_path_factory.mktemp("image") / "stay.tar", "lab/stay:1"))
    three_nodes.apply(SPEC)
    return three_nodes


def all_pairs_reach_each_other(cluster: Cluster) -> bool:
    rows = cluster.ps("stay")
    return all(
        cluster.manager.appliance(
            "exec", row["instance"], "--", "ping", "-c1", "-W1", other["ip"], check=False
        ).returncode
        == 0
        for row in rows
        for other in rows
    )


def all_ready(cluster: Cluster) -> bool:
    """Without a manager, `status` is the node's own and has no nodes."""
    answer = cluster.manager.appliance("status", "-o", "json", check=False)
    nodes = json.loads(answer.stdout).get("nodes", []) if answer.returncode == 0 else []
    return {node["state"] for node in nodes} == {"ready"}


def test_a_connected_agent_follows_to_its_new_address(cluster: Cluster) -> None:
    agent, before = cluster.hosts[1], running(cluster.hosts, "stay")
    name, address = cluster.node_name(agent), cluster.lab.give_address(agent, 101)
    cluster.manager.appliance("node", "set-address", name, address)
    eventually(
        lambda: f'"{address}"' in (agent.data / "var/lib/appliance/node.json").read_text(), timeout=HEALED_WITHIN
    )
    cluster.lab.move(agent, address)
    eventually(lambda: cluster.node_state(agent) == "ready", timeout=60, every=0.5)
    eventually(lambda: all_pairs_reach_each_other(cluster), timeout=30, every=0.5)
    assert running(cluster.hosts, "stay") == before


def test_an_agent_whose_address_has_changed_already_is_told_on_the_spot(cluster: Cluster) -> None:
    agent, before = cluster.hosts[2], running(cluster.hosts, "stay")
    name, address = cluster.node_name(agent), cluster.lab.give_address(agent, 102)
    cluster.lab.move(agent, address)
    agent.appliance("set-address", address)
    if cluster.lab.dial == "manager":
        cluster.manager.appliance("node", "set-address", name, address)
    eventually(lambda: cluster.node_state(agent) == "ready", timeout=60, every=0.5)
    eventually(lambda: all_pairs_reach_each_other(cluster), timeout=30, every=0.5)
    assert running(cluster.hosts, "stay") == before


def test_an_address_that_another_node_has_is_refused(cluster: Cluster) -> None:
    one, other = cluster.hosts[1:]
    result = cluster.manager.appliance("node", "set-address", cluster.node_name(one), other.address, check=False)
    assert result.returncode == 3 and cluster.node_name(other) in result.stderr


def test_the_manager_moves_and_its_agents_follow(cluster: Cluster) -> None:
    manager, before = cluster.manager, running(cluster.hosts, "stay")
    name, address = cluster.node_name(manager), cluster.lab.give_address(manager, 100)
    process = manager.data / "run/appliance/manager.pid"
    old = process.read_text()
    manager.appliance("node", "set-address", name, address)

    eventually(lambda: f'"{address}"' in (manager.data / "var/lib/appliance/node.json").read_text(), timeout=20)
    cluster.lab.move(manager, address)
    # The process that still runs at the old address finds all nodes ready, until it ends a moment later.
    eventually(lambda: process.read_text() != old and all_ready(cluster), timeout=90, every=0.5)
    eventually(lambda: all_pairs_reach_each_other(cluster), timeout=30, every=0.5)
    assert running(cluster.hosts, "stay") == before
    assert manager.ask("status")["cluster"]["url"] == f"https://{address}:8443/"
    page = manager.run(
        "curl", "-sS", "--cacert", manager.data / "etc/appliance/pki/ca.crt", f"https://{address}:8443/api/health"
    )
    assert page.returncode == 0


def test_the_moved_cluster_takes_orders(cluster: Cluster, tmp_path: Path) -> None:
    cluster.load_image(docker_archive(tmp_path / "after.tar", "lab/after:1"))
    cluster.apply(SPEC.replace("stay", "after"))
    assert len(running(cluster.hosts, "after")) == 3
