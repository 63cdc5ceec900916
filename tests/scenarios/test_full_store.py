"""A full store and a full disk: a clear refusal within five seconds, and everything goes on by itself with room again.

Promise 12 of RELIABILITY.md. The tests are one story and run in this order.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Cluster, running
from tests.lab.images import docker_archive
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

pytestmark = pytest.mark.timed  # seconds are promised here

QUOTA = "16"
"""MiB; the least that `up` takes."""
DISK = "256m"
"""etcd has a disk of its own, so that nothing else runs out of room."""
CLEAR_WITHIN = 5.0
SPEC = """
service: %s
configs:
  filling: {path: /etc/filling, text: "%s"}
deploys:
  main:
    containers:
      main: {image: "lab/keep:1", command: ["sleep", "1000000"]}
"""


class Story:
    """A manager whose service `keep` runs on through all of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.host = cluster.manager
        self.disk = self.host.root / "var/lib/appliance/etcd"
        self.keep = running([self.host], "keep")
        self.took = 0.0

    def apply(self, service: str, text: str) -> "subprocess.CompletedProcess[str]":
        """Without waiting for its instances; `took` is how long the answer took."""
        (self.host.data / "large.yaml").write_text(SPEC % (service, text))
        began = time.monotonic()
        done = self.host.appliance("apply", self.host.root / "large.yaml", check=False)
        self.took = time.monotonic() - began
        return done

    def refused(self) -> str:
        """Apply ever new large texts until one is refused; the refusal."""
        for number in range(100):
            done = self.apply("large", chr(ord("a") + number % 26) * 350_000)
            if done.returncode:
                return done.stderr
        raise AssertionError("everything was taken")

    def complaints(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.host.ask("status")["store"]["complaints"]
        return found

    def recovers(self) -> None:
        """Changes are taken again, nothing is complained of, and what ran runs on untouched."""
        eventually(lambda: self.apply("small", str(time.monotonic())).returncode == 0, timeout=90, every=1)
        eventually(lambda: not self.complaints(), timeout=90, every=1)
        assert running([self.host], "keep") == self.keep


@pytest.fixture(scope="module")
def story(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with Lab(package=package) as lab:
        host = lab.host("m1")
        disk = host.root / "var/lib/appliance/etcd"
        host.run("mkdir", "-p", disk)
        host.run("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", disk)
        cluster = Cluster(lab)
        cluster.start(host, "--store-quota", QUOTA)
        cluster.load_image(docker_archive(tmp_path_factory.mktemp("image") / "keep.tar", "lab/keep:1"))
        cluster.apply(SPEC % ("keep", "x"))
        yield Story(cluster)


def test_a_full_disk_is_named_within_five_seconds_and_reading_goes_on(story: Story) -> None:
    story.host.run("sh", "-c", f"cat /dev/zero > {story.disk}/filling", check=False)
    refusal = story.refused()
    assert story.took < CLEAR_WITHIN, f"{story.took:.1f} s"
    assert "MiB left" in refusal
    assert [row["service"] for row in story.cluster.ps("keep")] == ["keep"]
    assert any("disk" in complaint["what"] for complaint in eventually(story.complaints, timeout=30))


def test_with_room_on_the_disk_the_store_goes_on_by_itself(story: Story) -> None:
    story.host.run("rm", story.disk / "filling")
    story.recovers()


def test_a_full_store_is_named_within_five_seconds_and_reading_goes_on(story: Story) -> None:
    refusal = story.refused()
    assert story.took < CLEAR_WITHIN, f"{story.took:.1f} s"
    assert "full" in refusal and "delete" in refusal
    assert [row["service"] for row in story.cluster.ps("keep")] == ["keep"]


def test_a_full_store_can_be_emptied_and_goes_on_by_itself(story: Story) -> None:
    eventually(
        lambda: story.host.appliance("delete", "large", "--wait", check=False).returncode == 0, timeout=90, every=1
    )
    story.recovers()
    told = [event["message"] for event in story.host.ask("events") if event["kind"] == "store"]
    assert any("full" in message for message in told) and any("no longer" in message for message in told)
