"""Time: every node runs chrony, agents follow their manager in both directions of dialling, and skew is shown."""

from collections.abc import Iterator

import pytest

from tests.lab.cluster import Cluster, engine_of
from tests.lab.host import CommandFailed, Host
from tests.lab.waiting import eventually


@pytest.fixture(scope="module")
def cluster(one_node: Cluster) -> Iterator[Cluster]:
    """A manager, an agent that dials it, and one that is dialled. None may set the clock: it is the machine's."""
    one_node.join(one_node.lab.host("a1"))
    one_node.join(one_node.lab.host("a2"), "--dial", "manager")
    yield one_node


def chrony(host: Host, *question: str) -> list[list[str]]:
    """The rows that chronyc prints on a node; none while chronyd does not answer."""
    running = engine_of(host).running("appliance.instance", "system/ntp-")
    if not running:
        return []
    ((container, _),) = running.values()
    engine = f"unix://{host.data}/run/appliance/docker.sock"
    try:
        said = host.run("docker", "-H", engine, "exec", container, "/usr/bin/chronyc", "-nc", *question).stdout
    except CommandFailed:
        return []
    return [line.split(",") for line in said.splitlines()]


def selected(host: Host) -> str:
    """The source that a node's chronyd follows, "" for none; chronyc marks it with a star."""
    return next((row[2] for row in chrony(host, "sources") if row[1] == "*"), "")


def test_chrony_runs_on_every_node_and_leaves_a_clock_alone_that_it_may_not_set(cluster: Cluster) -> None:
    for host in cluster.hosts:
        eventually(lambda: chrony(host, "tracking"), timeout=60)  # noqa: B023
        ((container, _),) = engine_of(host).running("appliance.instance", "system/ntp-").values()
        made = engine_of(host).request("GET", f"/containers/{container}/json")
        assert made["Args"][-1] == "-x" and not made["HostConfig"]["CapAdd"]


def test_a_manager_serves_time_although_it_follows_nobody(cluster: Cluster) -> None:
    (row,) = chrony(cluster.manager, "tracking")
    assert row[2] == "10", row


def test_an_agent_follows_its_manager(cluster: Cluster) -> None:
    if cluster.lab.dial == "manager":
        pytest.skip("where only managers dial, no agent may ask for the time")
    eventually(lambda: selected(cluster.hosts[1]) == cluster.manager.address, timeout=60)


def test_an_agent_that_managers_dial_asks_nobody_and_follows_what_the_link_measures(cluster: Cluster) -> None:
    agent = cluster.hosts[2]
    eventually(lambda: selected(agent) == "LINK", timeout=120)
    assert [row[2] for row in chrony(agent, "sources")] == ["LINK"]


def test_the_skew_of_every_node_is_shown(cluster: Cluster) -> None:
    def skews() -> list[float]:
        return [row["skew"]["offset"] for row in cluster.manager.ask("node", "ls") if row["skew"]]

    eventually(lambda: len(skews()) == 3, timeout=30)
    assert all(abs(offset) < 0.2 for offset in skews()), "all hosts of the lab have one clock"


def test_the_sites_time_servers_reach_the_manager(cluster: Cluster) -> None:
    cluster.manager.appliance("time", "servers", "set", "10.77.255.254")
    eventually(lambda: "10.77.255.254" in {row[2] for row in chrony(cluster.manager, "sources")}, timeout=60)
    eventually(lambda: chrony(cluster.manager, "tracking")[0][2] == "10", timeout=60)
