"""All managers gone: workloads do not notice, crashed containers come back, a rebooted agent brings its own back.

The tests are one story and run in this order.
"""

import statistics
from pathlib import Path

import pytest

from tests.lab.cluster import Cluster, engine_of, running, up
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

pytestmark = pytest.mark.timed  # seconds are promised here

SPEC = """
service: keep
deploys:
  main:
    replicas: 6
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main: {image: "lab/keep:1", command: ["sleep", "1000000"]}
"""


@pytest.fixture(scope="module")
def cluster(three_nodes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    archive = tmp_path_factory.mktemp("image") / "keep.tar"
    three_nodes.load_image(docker_archive(archive, "lab/keep:1"))
    three_nodes.apply(SPEC)
    return three_nodes


def test_workloads_do_not_notice_that_the_managers_died(cluster: Cluster) -> None:
    agents = cluster.hosts[1:]
    before = running(agents, "keep")
    assert len(before) == 4
    cluster.manager.power_off()
    # Longer than the link needs to notice.
    with pytest.raises(TimeoutError):
        eventually(lambda: running(agents, "keep") != before, timeout=25, every=1)


def test_a_killed_container_runs_again_within_two_seconds(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    agent = cluster.hosts[1]
    samples = []
    for name, (container, started) in running([agent], "keep").items():
        killed = agent.kill_container(container)

        def again(name: str = name, started: float = started) -> float:
            _, at = running([agent], "keep").get(name, ("", 0.0))
            return at if at > started else 0.0

        samples.append(eventually(again, timeout=10, every=0.05) - killed)
    with capsys.disabled():
        print(f"\nkilled -> running without a manager: {[round(s, 2) for s in samples]} s")
    assert statistics.median(samples) < 2
    assert max(samples) < 2


def test_an_agent_tells_its_own_state(cluster: Cluster) -> None:
    answer = cluster.hosts[1].appliance("status")
    assert "keep/main" in answer.stdout


def test_a_rebooted_agent_brings_its_instances_back(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    agent = cluster.hosts[2]
    names = set(running([agent], "keep"))
    cluster.lab.reboot(agent)
    agent.start()
    socket = Path(agent.data / "run/appliance/docker.sock")
    eventually(socket.exists, timeout=60)

    def back() -> bool:
        try:
            return set(running([agent], "keep")) == names
        except (ConnectionError, FileNotFoundError):
            return False

    eventually(back, timeout=60)


def test_the_managers_return_to_the_same_cluster(cluster: Cluster) -> None:
    before = running(cluster.hosts[1:], "keep")
    cluster.lab.reboot(cluster.manager)
    cluster.manager.start()

    def converged() -> bool:
        if cluster.manager.appliance("status", check=False).returncode:
            return False
        rows = cluster.ps("keep")
        return len(rows) == 6 and all(row["ready"] for row in rows)

    eventually(converged, timeout=120, every=0.5)
    assert running(cluster.hosts[1:], "keep") == before
    assert engine_of(cluster.manager).containers("appliance.instance")


def test_a_manager_starts_although_an_agent_is_away(cluster: Cluster) -> None:
    away = cluster.hosts[1]
    for host in (away, cluster.manager):
        cluster.lab.reboot(host)
    assert up(cluster.manager)["url"]
    eventually(lambda: cluster.node_state(away) == "unreachable", timeout=60, every=0.5)
    away.start()
    eventually(lambda: cluster.node_state(away) == "ready", timeout=90, every=0.5)
