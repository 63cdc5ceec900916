"""An agent that nobody can call, because a router hides its address: everything goes through the link it dials."""

from pathlib import Path

import pytest

from tests.lab.cluster import Cluster
from tests.lab.images import docker_archive
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SPEC = """
service: hidden
deploys:
  main:
    stop_grace: 1s
    placement: {node: a1}
    containers:
      main: {image: "lab/hidden:1", command: ["sh", "-c", "echo started; sleep 1000000"]}
"""


@pytest.fixture(scope="module")
def dial() -> str:
    return "agent"


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Cluster:
    manager, agent = lab.host("m1"), lab.host("a1")
    # As a router does that hides the host: what others begin never arrives. The manager's node may ask it for an echo,
    # as it does of every node when it looks at the overlay by itself; that is no connection, and is lost.
    lab.forbid(manager, agent, echoes=False)
    cluster = Cluster(lab)
    cluster.start(manager)
    cluster.join(agent)
    return cluster


def test_a_hidden_agent_gets_images_runs_them_and_lets_people_in(cluster: Cluster, tmp_path: Path) -> None:
    cluster.load_image(docker_archive(tmp_path / "hidden.tar", "lab/hidden:1"))
    cluster.apply(SPEC)
    (row,) = cluster.ps("hidden")
    assert row["node"] == "a1"
    eventually(lambda: "started" in cluster.manager.appliance("logs", row["instance"]).stdout, timeout=10)
    assert cluster.manager.appliance("exec", row["instance"], "--", "echo", "in").stdout == "in\n"


def test_the_manager_never_began_to_talk_to_the_hidden_agent(cluster: Cluster) -> None:
    assert cluster.lab.dropped() == {cluster.manager.name: 0}
