"""Promise 4: whatever of ours is killed, what runs on the nodes does not notice.

A seeded walk of faults; APPLIANCE_FAULTS says how many, APPLIANCE_SEED which.
"""

import os
import random
import signal
from collections.abc import Callable

import pytest

from tests.lab.cluster import Cluster, engine_of, running
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

pytestmark = pytest.mark.timed  # what was killed has to be back in seconds

FAULTS = int(os.environ.get("APPLIANCE_FAULTS", "20"))
SEED = int(os.environ.get("APPLIANCE_SEED", "4"))
BACK_WITHIN = 60.0

SPEC = """
service: keep
deploys:
  main:
    replicas: 6
    placement: {spread: node}
    containers:
      main: {image: "lab/keep:1", command: ["sleep", "1000000"]}
"""

PROGRAMS = {
    "agent": "run/appliance/agent.pid",
    "manager": "run/appliance/manager.pid",
    "engine": "run/appliance/engine.pid",
    "containerd": "run/appliance/engine/containerd/containerd.pid",
}


def pid_of(host: Host, program: str) -> str:
    """As the host knows it, "" while it has none."""
    file = host.data / PROGRAMS[program]
    return file.read_text().split()[0] if file.exists() and file.read_text() else ""


def kill(host: Host, program: str) -> None:
    """SIGKILL it, and return when another one is there in its place."""
    before = pid_of(host, program)
    host.run("kill", f"-{signal.SIGKILL}", before)
    eventually(lambda: pid_of(host, program) not in ("", before), BACK_WITHIN)


def kill_etcd(host: Host, _: str) -> None:
    def etcd() -> dict[str, tuple[str, float]]:
        return engine_of(host).running("appliance.instance", "system/etcd-")

    [(container, before)] = eventually(etcd, BACK_WITHIN).values()
    host.kill_container(container)
    eventually(lambda: [started for _, started in etcd().values() if started > before], BACK_WITHIN)


def faults(cluster: Cluster) -> list[tuple[Host, str, Callable[[Host, str], None]]]:
    found = [(host, program, kill) for host in cluster.hosts for program in PROGRAMS if program != "manager"]
    return [*found, (cluster.manager, "manager", kill), (cluster.manager, "etcd", kill_etcd)]


def answering(hosts: list[Host]) -> dict[str, tuple[str, float]]:
    """What runs, once every engine answers again."""

    def look() -> dict[str, tuple[str, float]]:
        try:
            return running(hosts, "keep")
        except (OSError, RuntimeError) as error:
            raise AssertionError(str(error)) from error

    return eventually(look, BACK_WITHIN)


def test_workloads_do_not_notice_when_parts_of_ours_are_killed(
    one_node: Cluster, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    one_node.join(one_node.lab.host("a1"))
    one_node.load_image(docker_archive(tmp_path_factory.mktemp("image") / "keep.tar", "lab/keep:1"))
    one_node.apply(SPEC)
    before = answering(one_node.hosts)
    assert len(before) == 6
    chance, history = random.Random(SEED), []
    for _ in range(FAULTS):
        host, program, harm = chance.choice(faults(one_node))
        history.append(f"{program} of {host.name}")
        harm(host, program)
        assert answering(one_node.hosts) == before, f"seed {SEED}: {history}"

    def told_so() -> bool:
        rows = one_node.ps("keep")
        assert [row["restarts"] for row in rows] == [0] * 6
        return all(row["ready"] for row in rows)

    eventually(lambda: one_node.manager.appliance("status", check=False).returncode == 0, BACK_WITHIN)
    eventually(told_so, BACK_WITHIN, every=0.5)
    with capsys.disabled():
        print(f"\nseed {SEED}: {len(history)} faults, no restart: {', '.join(history)}")
