"""Three managers: any of them may fail, be replaced, come and go; what runs notices nothing.

The tests are one story and run in this order.
"""

import shutil
import time

import pytest

from appliance.errors import Refused
from tests.lab.cluster import Cluster, ca_of, fetch, running, status_of, up
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SERVICE = """
service: keep
deploys:
  main:
    replicas: 2
    stop_grace: 1s
    placement: {node: a1}
    containers:
      main: {image: appliance/busybox, command: [sleep, "1000000"]}
"""
WRITES_AGAIN = 8.0
"""Seconds after the leader's host died until another manager has taken a write."""


class Managers:
    """m1, m2 and m3 are managers, a1 is an agent with a service; `own` is the cluster's own address."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.cluster = Cluster(lab)
        self.own = lab.gateway.rpartition(".")[0] + ".199"
        self.hosts = {"m1": lab.host("m1")}
        self.cluster.hosts.append(self.hosts["m1"])
        self.cluster.up = up(self.hosts["m1"], "--vip", f"{self.own}/24")
        for name in ("m2", "m3"):
            self.join(name, "manager")
        self.join("a1", "agent")
        self.cluster.apply(SERVICE)
        self.before = self.containers()

    def join(self, name: str, role: str) -> None:
        self.hosts[name] = self.lab.host(name)
        self.cluster.join(self.hosts[name], role=role)

    def containers(self) -> dict[str, tuple[str, float]]:
        return running([self.hosts["a1"]], "keep")

    def etcd(self, asked: str) -> dict[str, str]:
        """Manager → the state of its etcd, as one of them sees it; an AssertionError while that one cannot answer."""
        return {row["node"]: row["etcd"] for row in status_of(self.hosts[asked])["managers"]}

    def leader(self, asked: str) -> str:
        rows = status_of(self.hosts[asked])["managers"]
        return next((str(row["node"]) for row in rows if row["leader"]), "")

    def await_healthy(self, asked: str, *names: str, timeout: float = 60) -> None:
        eventually(lambda: self.etcd(asked) == dict.fromkeys(names, "healthy"), timeout=timeout, every=0.5)

    def write(self, asked: str, value: str) -> bool:
        return self.hosts[asked].appliance("node", "label", "a1", f"seen={value}", check=False).returncode == 0

    def seen(self, asked: str) -> str:
        return str(self.hosts[asked].ask("node", "show", "a1")["labels"].get("seen", ""))

    def start_again(self, name: str) -> None:
        self.lab.reboot(self.hosts[name])
        self.hosts[name].start()

    def node_state(self, asked: str, name: str) -> str:
        return next(str(row["state"]) for row in status_of(self.hosts[asked])["nodes"] if row["name"] == name)


@pytest.fixture(scope="module")
def world(lab: Lab) -> Managers:
    return Managers(lab)


@pytest.fixture
def both_ways(dial: str) -> None:
    if dial == "manager":
        pytest.skip("a1 may not talk to the managers by itself, and members of etcd have to")


def test_every_manager_answers_for_all_and_takes_writes(world: Managers) -> None:
    for name in ("m1", "m2", "m3"):
        world.await_healthy(name, "m1", "m2", "m3", timeout=20)
        assert world.write(name, name)
        eventually(lambda: {world.seen(asked) for asked in ("m1", "m2", "m3")} == {name}, timeout=5)  # noqa: B023
    assert len({world.leader(name) for name in ("m1", "m2", "m3")}) == 1


def test_the_leaders_host_dies_and_another_manager_takes_writes(
    world: Managers, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = world.leader("m1")
    asked, other = (name for name in ("m1", "m2", "m3") if name != dead)
    world.hosts[dead].power_off()
    moment = time.monotonic()
    eventually(lambda: world.write(asked, "without-leader"), timeout=30)
    took = time.monotonic() - moment
    fetch(world.hosts["a1"], f"https://{world.own}:8443/api/health", "--cacert", ca_of(world.hosts["m1"]))
    with capsys.disabled():
        print(f"\nleader's host killed -> a write at another manager: {took:.1f} s")
    assert took < WRITES_AGAIN
    eventually(lambda: world.leader(asked) in (asked, other), timeout=40)
    assert world.etcd(asked)[dead] == "unreachable"
    assert world.containers() == world.before


def test_meanwhile_no_other_manager_is_let_go(world: Managers) -> None:
    dead = next(name for name in ("m1", "m2", "m3") if not world.hosts[name].on)
    asked, other = (name for name in ("m1", "m2", "m3") if name != dead)
    refused = world.hosts[asked].appliance("node", "demote", other, check=False)
    assert refused.returncode == Refused.exit_code
    assert f"cannot do without {other}" in refused.stderr and "1 could vote" in refused.stderr


def test_its_host_returns_and_catches_up(world: Managers) -> None:
    dead = next(name for name in ("m1", "m2", "m3") if not world.hosts[name].on)
    world.start_again(dead)
    world.await_healthy(dead, "m1", "m2", "m3")
    assert world.seen(dead) == "without-leader"
    assert world.write(dead, "caught-up")


def test_a_member_whose_disk_was_replaced_is_made_anew(world: Managers) -> None:
    world.hosts["m2"].power_off()
    shutil.rmtree(world.hosts["m2"].data / "var/lib/appliance/etcd")
    world.start_again("m2")
    eventually(lambda: world.etcd("m1").get("m2") not in ("healthy", None), timeout=30)
    world.await_healthy("m2", "m1", "m2", "m3", timeout=90)
    assert world.seen("m2") == "caught-up"


@pytest.mark.parametrize("moment", ["joining", "learner"])
@pytest.mark.usefixtures("both_ways")
def test_an_agent_that_dies_while_it_becomes_a_manager_ends_as_one(world: Managers, moment: str) -> None:
    world.hosts["m1"].appliance("node", "promote", "a1")
    eventually(lambda: world.etcd("m1").get("a1") == moment, timeout=30, every=0.05)
    world.start_again("a1")
    world.await_healthy("a1", "a1", "m1", "m2", "m3", timeout=90)
    assert world.write("a1", moment)
    eventually(lambda: len(world.containers()) == 2, timeout=60)
    world.before = world.containers()
    world.hosts["m1"].appliance("node", "demote", "a1", "--wait")
    eventually(lambda: not (world.hosts["a1"].data / "etc/appliance/pki/ca.key").exists(), timeout=30)
    eventually(lambda: world.node_state("m1", "a1") == "ready", timeout=30)
    assert world.etcd("m1").keys() == {"m1", "m2", "m3"}


@pytest.mark.usefixtures("both_ways")
def test_promoted_and_demoted_its_workloads_notice_nothing(world: Managers) -> None:
    world.hosts["m1"].appliance("node", "promote", "a1", "--wait", timeout=130)
    assert "4 managers, only 1 of which may fail" in world.hosts["a1"].appliance("status").stdout
    world.hosts["m1"].appliance("node", "demote", "a1", "--wait")
    eventually(lambda: not (world.hosts["a1"].data / "var/lib/appliance/etcd").exists(), timeout=30)
    assert world.containers() == world.before


def test_a_dead_manager_is_removed_and_a_new_one_takes_its_place(world: Managers) -> None:
    world.hosts["m3"].power_off()
    eventually(lambda: world.node_state("m1", "m3") == "unreachable", timeout=60, every=0.5)
    world.hosts["m1"].appliance("node", "rm", "m3")
    eventually(lambda: world.etcd("m1") == {"m1": "healthy", "m2": "healthy"}, timeout=30)
    assert "neither of which may fail" in world.hosts["m1"].appliance("status").stdout
    world.join("m4", "manager")
    world.await_healthy("m4", "m1", "m2", "m4", timeout=20)
    assert world.write("m4", "replaced") and world.seen("m1") == "replaced"
    assert world.containers() == world.before
