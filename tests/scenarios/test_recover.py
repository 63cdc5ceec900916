"""Two of three managers are lost for good: the third is made the only one, and what runs notices nothing.

The tests are one story and run in this order.
"""

import subprocess
import time

import pytest

from appliance.errors import Refused, StoreUnavailable
from tests.lab.cluster import Cluster, running, status_of
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SERVICE = """
service: keep
deploys:
  main:
    replicas: 4
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main: {image: appliance/busybox, command: [sleep, "1000000"]}
"""

REFUSED_WITHIN = 6.0
"""Seconds until a person is told that there is no majority, the start of the command line included."""


class Managers:
    """m1, m2 and m3 are managers, a1 is an agent; each runs an instance of one service."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.cluster = Cluster(lab)
        self.hosts = {name: lab.host(name) for name in ("m1", "m2", "m3", "a1")}
        self.cluster.start(self.hosts["m1"])
        for name in ("m2", "m3", "a1"):
            self.cluster.join(self.hosts[name], role="agent" if name == "a1" else "manager")
        self.cluster.apply(SERVICE)
        eventually(lambda: self.etcd("m1") == dict.fromkeys(("m1", "m2", "m3"), "healthy"), timeout=60, every=0.5)
        self.left = [self.hosts["m1"], self.hosts["a1"]]
        self.before = running(self.left, "keep")

    def etcd(self, asked: str) -> dict[str, str]:
        return {row["node"]: row["etcd"] for row in status_of(self.hosts[asked])["managers"]}

    def write(self, value: str) -> bool:
        return self.try_to_write(value).returncode == 0

    def try_to_write(self, value: str) -> subprocess.CompletedProcess[str]:
        return self.hosts["m1"].appliance("node", "label", "a1", f"seen={value}", check=False)

    def start_again(self, *names: str) -> None:
        for name in names:
            self.lab.reboot(self.hosts[name])
        for name in names:
            self.hosts[name].start()


@pytest.fixture(scope="module")
def world(lab: Lab) -> Managers:
    return Managers(lab)


def is_agent(host: Host) -> bool:
    return not (host.data / "etc/appliance/pki/ca.key").exists() and not (host.data / "var/lib/appliance/etcd").exists()


def test_while_a_majority_answers_there_is_nothing_to_recover(world: Managers) -> None:
    refused = world.hosts["m1"].appliance("recover", "--yes", check=False)
    assert refused.returncode == Refused.exit_code
    assert "a majority of the managers answers" in refused.stderr


def test_without_a_majority_a_change_is_refused_within_seconds(world: Managers) -> None:
    assert len(world.before) == 2
    for name in ("m2", "m3"):
        world.hosts[name].power_off()
    began = time.monotonic()
    refused = world.try_to_write("nobody")
    assert refused.returncode == StoreUnavailable.exit_code
    assert time.monotonic() - began < REFUSED_WITHIN
    for said in ("The store cannot be reached", "more than half of the managers", "appliance status"):
        assert said in refused.stderr


def test_a_dry_run_tells_what_is_left_and_changes_nothing(world: Managers) -> None:
    found = world.hosts["m1"].ask("recover", "--dry-run")
    assert {row["manager"]: row["reached"] for row in found["managers"]} == {
        world.hosts["m1"].address: True,
        world.hosts["m2"].address: False,
        world.hosts["m3"].address: False,
    }
    assert [row["manager"] for row in found["managers"] if row["freshest"]] == [world.hosts["m1"].address]
    assert not (world.hosts["m1"].data / "var/lib/appliance/recovery.json").exists()


def test_a_recovery_that_was_killed_is_finished_by_the_next(
    world: Managers, capsys: pytest.CaptureFixture[str]
) -> None:
    m1 = world.hosts["m1"]
    began = time.monotonic()
    killed = m1.spawn(*m1.command("recover", "--yes"))
    eventually((m1.data / "var/lib/appliance/recovery.json").exists, timeout=60, every=0.05)
    killed.kill()
    m1.appliance("recover", "--yes", timeout=150)
    with capsys.disabled():
        print(f"\nrecovered in {time.monotonic() - began:.1f} s")
    assert world.write("recovered")
    assert world.etcd("m1") == {"m1": "healthy"}
    assert running(world.left, "keep") == world.before
    assert "was recovered as the only manager" in m1.appliance("events").stdout
    assert (m1.data / "var/lib/appliance/etcd/before-recover/wal").is_dir()


def test_the_lost_managers_come_back_together_and_end_as_agents(world: Managers) -> None:
    """They would be a majority of the managers of before; the recovered one has removed them."""
    world.start_again("m2", "m3")
    for name in ("m2", "m3"):
        eventually(lambda: is_agent(world.hosts[name]), timeout=90, every=0.5)  # noqa: B023
        eventually(lambda: world.cluster.node_state(world.hosts[name]) == "ready", timeout=60, every=0.5)  # noqa: B023
    assert world.etcd("m1") == {"m1": "healthy"}
    assert world.write("together")
    assert running(world.left, "keep") == world.before


def test_they_are_made_managers_again(world: Managers) -> None:
    for name in ("m2", "m3"):
        world.hosts["m1"].appliance("node", "promote", name, "--wait", timeout=130)
    eventually(lambda: world.etcd("m2") == dict.fromkeys(("m1", "m2", "m3"), "healthy"), timeout=60, every=0.5)
    assert running(world.left, "keep") == world.before
