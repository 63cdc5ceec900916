"""Three managers and a node that follows one of them: whatever is cut, it follows one that knows what is so.

The tests are one story and run in this order.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Cluster, running, status_of
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.vips import drop
from tests.lab.waiting import eventually

MOVED_WITHIN = 20.0
"""Seconds from a cut until another manager is followed: a heartbeat, the wait for its answer, and what a store may
take to notice that it has lost its quorum."""

SPEC = """
service: keep
deploys:
  main:
    replicas: REPLICAS
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main: {image: "IMAGE", command: ["sh", "-c", "exec sleep 1000000"]}
"""


class Story:
    """Three managers and an agent, each of which runs an instance."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.managers, self.agent = cluster.hosts[:3], cluster.hosts[3]
        self.ids = {str(node["address"]): str(node["id"]) for node in cluster.manager.ask("status")["nodes"]}
        self.began = self.containers()

    def containers(self) -> dict[str, tuple[str, float]]:
        return running(self.cluster.hosts, "keep")

    def followed(self) -> Host | None:
        """None while the one that it follows does not answer."""
        name = self.agent.ask("status")["manager"]
        return next((host for host in self.managers if self.ids[host.address] == name), None)

    def settled_at(self) -> Host:
        found = eventually(self.followed, 30)
        assert found
        return found

    def others(self, followed: Host) -> list[Host]:
        return [host for host in self.managers if host is not followed]

    def follows_another_than(self, before: Host, witness: Host) -> Host:
        """Wait for it, while a manager that can know is asked whether the node was ever called unreachable."""
        began = time.monotonic()
        states: set[str] = set()

        def moved() -> Host | None:
            states.add(self.state_at(witness))
            now = self.followed()
            return now if now is not before else None

        now = eventually(moved, MOVED_WITHIN, every=0.3)
        assert now and states == {"ready"}
        print(f"\nfollowed another after {time.monotonic() - began:.1f} s")
        return now

    def state_at(self, manager: Host) -> str:
        nodes = status_of(manager)["nodes"]
        return next(str(node["state"]) for node in nodes if node["address"] == self.agent.address)

    def name_of(self, host: Host, manager: Host) -> str:
        nodes: list[dict[str, Any]] = manager.ask("node", "ls")
        return next(str(node["name"]) for node in nodes if node["address"] == host.address)

    def settled(self, manager: Host) -> None:
        """It leads or follows, and has caught up."""
        eventually(lambda: status_of(manager)["cluster"]["state"] == "healthy", 60, every=0.5)


@contextmanager
def cut(host: Host, others: list[Host]) -> Iterator[None]:
    drop(host, others)
    try:
        yield
    finally:
        drop(host, others, add=False)


@pytest.fixture(scope="module")
def story(one_node: Cluster) -> Story:
    for name in ("m2", "m3"):
        one_node.join(one_node.lab.host(name), role="manager")
    one_node.join(one_node.lab.host("a1"))
    one_node.apply(SPEC.replace("REPLICAS", "4").replace("IMAGE", "appliance/busybox"))
    story = Story(one_node)
    story.settled(one_node.manager)
    return story


def test_a_node_that_its_manager_does_not_reach_follows_another_and_is_never_called_unreachable(story: Story) -> None:
    before = story.settled_at()
    with cut(story.agent, [before]):
        now = story.follows_another_than(before, story.others(before)[0])
        stays = time.monotonic() + 12  # longer than the first waits for it to come back
        while time.monotonic() < stays:
            assert story.state_at(now) == "ready"
    eventually(lambda: story.followed() is now, 10)
    assert story.containers() == story.began


def test_a_manager_that_the_others_do_not_reach_commands_nothing(story: Story) -> None:
    stale = story.settled_at()
    first, second = story.others(stale)
    with cut(stale, [first, second]):
        now = story.follows_another_than(stale, first)
        node = story.name_of(story.agent, now)
        instance = next(str(row["instance"]) for row in now.ask("ps", "keep") if row["node"] == node)
        eventually(lambda: now.appliance("stop", instance, "--wait", timeout=60, check=False).returncode == 0, 60)
        assert not running([story.agent], "keep")
    story.settled(stale)
    eventually(lambda: story.followed() is now, 10)
    assert not running([story.agent], "keep")
    stale.appliance("start", instance, "--wait", timeout=60)
    others = {name: facts for name, facts in story.began.items() if not name.startswith("a1:")}
    assert running(story.managers, "keep") == others


def test_an_image_outlives_the_manager_where_it_was_loaded(story: Story, tmp_path: Path) -> None:
    lost = story.settled_at()
    first, second = story.others(lost)
    archive = docker_archive(tmp_path / "app.tar", "shop/app:1")
    (lost.data / "app.tar").write_bytes(archive.read_bytes())
    lost.appliance("image", "load", lost.root / "app.tar", timeout=120)
    pull = next(str(row["pull"]) for row in first.ask("image", "ls") if row["reference"] == "shop/app:1")
    repository, _, digest = pull.partition("/")[2].partition("@")
    place = f"http://127.0.0.1:5000/v2/{repository}/manifests/{digest}"
    for manager in (first, second):
        eventually(lambda: answers(manager, place), 30)  # noqa: B023
    first.appliance("node", "cordon", story.name_of(lost, first))  # so that none of the new instances is bound to it
    lost.power_off()
    eventually(lambda: story.followed() in (first, second), MOVED_WITHIN, every=0.3)
    (first.data / "spec.yaml").write_text(
        SPEC.replace("keep", "new").replace("REPLICAS", "3").replace("IMAGE", "shop/app:1")
    )
    eventually(lambda: applied(first), 60)
    assert len(running([story.agent], "new")) == 1


def answers(manager: Host, url: str) -> bool:
    accept = "Accept: application/vnd.oci.image.manifest.v1+json"
    return manager.run("curl", "-sf", "-o", "/dev/null", "-H", accept, url, check=False).returncode == 0


def applied(manager: Host) -> bool:
    """False while nobody leads."""
    return manager.appliance("apply", manager.root / "spec.yaml", "--wait", timeout=120, check=False).returncode == 0
