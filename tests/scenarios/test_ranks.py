"""The order of ranks, as the engines saw the containers start and end: deploy, stop, restart, reboot of every host.

The tests are one story and run in this order.
"""

import itertools

import pytest

from tests.lab.cluster import Cluster, engine_of, running
from tests.lab.waiting import eventually

RANKS = ("low", "middle", "high")
SPEC = """
service: tiers
deploys:
""" + "".join(
    f"""
  {name}:
    rank: {rank}
    replicas: 3
    stop_grace: 1s
    placement: {{spread: node}}
    containers:
      main:
        image: appliance/busybox
        command: [sh, -c, "sleep 1; touch /tmp/ready; exec sleep 1000000"]
        stop_signal: SIGKILL
        tmpfs: [/tmp]
        health: {{ready: {{exec: [test, -e, /tmp/ready], every: 1s}}}}
"""
    for rank, name in enumerate(RANKS)
)


@pytest.fixture(scope="module")
def cluster(three_nodes: Cluster) -> Cluster:
    three_nodes.apply(SPEC)
    return three_nodes


def starts(cluster: Cluster) -> dict[str, list[float]]:
    """Deploy → when the engines started its three containers."""
    found: dict[str, list[float]] = {name: [] for name in RANKS}
    for name, (_, at) in running(cluster.hosts, "tiers").items():
        deploy = name.split("tiers.")[1].partition("-")[0]
        found[deploy].append(at)
    return found


def all_run(cluster: Cluster) -> bool:
    try:
        return all(len(each) == 3 for each in starts(cluster).values())
    except (ConnectionError, FileNotFoundError):
        return False


def assert_in_order(found: dict[str, list[float]]) -> None:
    """No container of a rank starts before the last of the rank below has been up for the second that it needs."""
    assert [len(found[name]) for name in RANKS] == [3, 3, 3]
    for lower, higher in itertools.pairwise(RANKS):
        assert min(found[higher]) >= max(found[lower]) + 1.0, found


def test_a_deploy_goes_up_rank_by_rank(cluster: Cluster) -> None:
    assert_in_order(starts(cluster))


def test_a_stop_goes_down_from_the_highest_rank(cluster: Cluster) -> None:
    cluster.manager.appliance("stop", "tiers", "--wait", timeout=60)
    assert running(cluster.hosts, "tiers") == {}
    ended: dict[str, list[str]] = {name: [] for name in RANKS}
    for host in cluster.hosts:
        for instance, at in engine_of(host).ended("appliance.instance", "tiers/").items():
            ended[instance.removeprefix("tiers/").partition("-")[0]].append(at)
    assert [len(ended[name]) for name in RANKS] == [3, 3, 3]
    for lower, higher in itertools.pairwise(RANKS):
        assert min(ended[lower]) >= max(ended[higher]), ended


def test_a_start_goes_up_rank_by_rank(cluster: Cluster) -> None:
    cluster.manager.appliance("start", "tiers", "--wait", timeout=60)
    assert_in_order(starts(cluster))


def test_a_restart_of_the_service_goes_down_and_up(cluster: Cluster) -> None:
    before = max(at for each in starts(cluster).values() for at in each)
    cluster.manager.appliance("restart", "tiers", "--wait", timeout=90)
    found = starts(cluster)
    assert min(at for each in found.values() for at in each) > before
    assert_in_order(found)


def test_a_reboot_of_every_host_keeps_the_order(cluster: Cluster) -> None:
    before = max(at for each in starts(cluster).values() for at in each)
    for host in cluster.hosts:
        host.power_off()
    for host in cluster.hosts:
        cluster.lab.reboot(host)
        host.start()
    eventually(lambda: all_run(cluster), timeout=120, every=0.5)
    found = starts(cluster)
    assert min(at for each in found.values() for at in each) > before
    assert_in_order(found)
    eventually(lambda: all(row["ready"] for row in cluster.ps("tiers")), timeout=60, every=0.5)
