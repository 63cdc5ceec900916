"""A node without managers governs itself: people command it on the spot, and what they said is merged when it is back.

Promise 5: what cannot be reached is not made anew elsewhere, over reboots of either side. APPLIANCE_PARTITION adds so
many seconds to the cut. The tests are one story and run in this order.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.cluster import Cluster, running
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

pytestmark = pytest.mark.timed  # seconds are promised here

PARTITION = float(os.environ.get("APPLIANCE_PARTITION", "0"))
UNREACHABLE_WITHIN = 40.0
CONVERGED_WITHIN = 30.0

SPEC = """
service: keep
deploys:
  main:
    replicas: 6
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main: {image: "lab/keep:1", command: ["sh", "-c", "echo started; exec sleep 1000000"]}
"""


WORK = """
service: work
deploys:
  hooked:
    stop_grace: 1s
    placement: {require: {where: away}}
    pre: [{run: ["sh", "-c", "echo x >> /data/starts"]}]
    volumes: {data: {}}
    containers:
      main: {image: "lab/keep:1", command: ["sleep", "1000000"], volumes: {data: /data}}
jobs:
  slow:
    type: once
    require: {where: away}
    container: {image: "lab/keep:1", command: ["sh", "-c", "sleep 12; exit 0"]}
"""


class Story:
    """A manager and one agent, which is cut off and comes back; `names`: the three instances on the agent."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.agent = cluster.hosts[1]
        self.node = cluster.node_name(self.agent)
        self.names = [str(row["instance"]) for row in cluster.ps("keep") if row["node"] == self.node]
        self.healed = 0.0

    def row(self, instance: str) -> dict[str, Any]:
        return next(row for row in self.cluster.ps("keep") if row["instance"] == instance)

    def local(self, instance: str) -> dict[str, Any]:
        """As its node tells; an AssertionError while that does not know it."""
        rows: list[dict[str, Any]] = self.agent.ask("ps")
        found = [row for row in rows if row["instance"] == instance]
        assert found, f"{instance} is none of {self.node}'s"
        return found[0]

    def cut(self) -> None:
        self.cluster.lab.cut(self.agent)
        eventually(lambda: self.cluster.node_state(self.agent) == "unreachable", UNREACHABLE_WITHIN, every=0.5)

    def heal(self) -> None:
        self.cluster.lab.heal(self.agent)
        self.healed = time.monotonic()

    def converged(self, check: Callable[[], object]) -> None:
        """It is so within the promised time after the healing."""
        eventually(check, CONVERGED_WITHIN - (time.monotonic() - self.healed), every=0.3)

    def all_events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cluster.manager.ask("events", "--last", "1000")
        return found

    def events(self, instance: str) -> list[str]:
        return [str(event["message"]) for event in self.all_events() if event["subject"] == instance]


@pytest.fixture(scope="module")
def story(one_node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Story:
    one_node.join(one_node.lab.host("a1"))
    one_node.load_image(docker_archive(tmp_path_factory.mktemp("image") / "keep.tar", "lab/keep:1"))
    one_node.manager.appliance("node", "label", one_node.node_name(one_node.hosts[1]), "where=away")
    one_node.apply(SPEC)
    (one_node.manager.data / "work.yaml").write_text(WORK)
    one_node.manager.appliance("apply", one_node.manager.root / "work.yaml")
    hosts = one_node.hosts[1:]
    eventually(lambda: len(running(hosts, "work")) == 2, 60)
    return Story(one_node)


def test_a_node_that_is_cut_off_answers_for_itself(story: Story) -> None:
    story.cut()
    assert {story.row(name)["state"] for name in story.names} == {"unreachable"}
    name = story.names[0]
    listed = story.agent.appliance("ps")
    assert all(each in listed.stdout for each in story.names)
    assert "answers by itself: no manager reachable" in listed.stderr
    assert story.agent.appliance("logs", name).stdout == "started\n"
    program = "cat; echo wrong >&2; exit 7"
    result = story.agent.appliance("exec", "-i", name, "--", "sh", "-c", program, input="typed\n", check=False)
    assert (result.stdout, result.returncode) == ("typed\n", 7) and "wrong\n" in result.stderr


def test_a_killed_container_is_started_again_there(story: Story) -> None:
    name = story.names[2]
    [container] = story.local(name)["containers"]
    story.agent.kill_container(container["id"])
    eventually(lambda: story.local(name)["restarts"] == 1, 10)


def test_a_stop_there_holds_over_a_power_cut(story: Story) -> None:
    stopped, others = story.names[0], story.names[1:]
    story.agent.appliance("stop", stopped, "--wait")
    story.cluster.lab.reboot(story.agent)
    story.cluster.lab.cut(story.agent)
    story.agent.start()

    def back() -> bool:
        return all(story.local(name)["ready"] for name in others)

    eventually(lambda: story.agent.appliance("ps", check=False).returncode == 0, 60, every=0.5)
    eventually(back, 60, every=0.5)
    assert story.local(stopped)["state"] == "stopped"
    assert "stop asked for here" in story.local(stopped)["message"]


def test_a_rebooted_manager_makes_nothing_anew_either(story: Story) -> None:
    manager = story.cluster.manager
    here = {str(row["instance"]) for row in story.cluster.ps("keep")} - set(story.names)
    story.cluster.lab.reboot(manager)
    manager.start()
    eventually(lambda: manager.appliance("status", check=False).returncode == 0, 120, every=0.5)
    eventually(lambda: len(running([manager], "keep")) == 3, 60, every=0.5)
    with pytest.raises(TimeoutError):
        eventually(lambda: len(running([manager], "keep")) != 3, PARTITION + 1, every=0.5)
    rows = story.cluster.ps("keep")
    assert {str(row["instance"]) for row in rows if row["node"] != story.node} == here
    away = [row for row in rows if row["node"] == story.node]
    assert {row["state"] for row in away} == {"unreachable"}
    assert all("last known: running, ready; nothing was heard of it since" in row["message"] for row in away)


def test_on_return_it_is_what_the_cluster_wants_and_nothing_else_is_touched(story: Story) -> None:
    stopped, restarted, conflicting = story.names
    story.agent.appliance("restart", restarted, "--wait")
    story.agent.appliance("stop", conflicting, "--wait")
    story.cluster.manager.appliance("restart", conflicting)
    before = running([story.agent], "keep") | running([story.agent], "work")
    assert len(before) == 3, "one of keep's, and the hooked one with what holds its network"
    story.heal()
    story.converged(lambda: story.row(stopped)["state"] == "stopped" and story.row(conflicting)["ready"])
    story.converged(lambda: story.row(restarted)["ready"])
    after = running([story.agent], "keep") | running([story.agent], "work")
    assert before.items() <= after.items()
    assert any("said stop on its node" in message and "wanted now" in message for message in story.events(stopped))
    assert any("not followed: meanwhile a manager" in message for message in story.events(conflicting))
    assert "not followed" in story.cluster.manager.appliance("why", conflicting).stdout
    assert not story.local(stopped)["message"], "the node has nothing left to tell"


def test_what_happened_meanwhile_is_told_once_in_order_with_the_times_of_the_node(story: Story) -> None:
    _, _, killed = story.names
    eventually(lambda: any(each["kind"] == "local" for each in story.all_events()), 10)
    events = [each for each in story.all_events() if each["node"] == story.node]
    told = [each for each in events if "while it was alone" in each["message"]]
    restarts = [each["message"] for each in told if each["subject"] == killed and each["kind"] == "restart"]
    assert "main was started again: it had ended with code 137" in restarts[0]
    assert len(restarts) == 2, "once by its killer, once after the power cut"
    assert [each["subject"] for each in told if each["kind"] == "local"] == story.names
    assert [each["message"][:9] for each in told if each["kind"] == "job"] == ["succeeded"]
    assert len([each for each in told if each["kind"] == "hook"]) == 1
    times = [each["message"].rpartition(", at ")[2] for each in told]
    assert times == sorted(times)


def test_nothing_ran_twice(story: Story) -> None:
    story.cluster.manager.run(
        "sh", "-c", f"kill -9 $(cut -d' ' -f1 {story.cluster.manager.root}/run/appliance/manager.pid)"
    )
    story.agent.run("sh", "-c", f"kill -9 $(cut -d' ' -f1 {story.agent.root}/run/appliance/agent.pid)")
    starts = "cat", "/data/starts"
    eventually(lambda: story.agent.appliance("exec", "work/hooked-0", "--", *starts, check=False).stdout, 30)
    eventually(lambda: story.cluster.manager.appliance("ps", check=False).returncode == 0, 60)
    assert story.agent.appliance("exec", "work/hooked-0", "--", *starts).stdout == "x\n" * 2
    [job] = story.cluster.manager.ask("job", "ls", "work")
    assert (job["state"], len(job["runs"]), job["runs"][0]["exit_code"]) == ("succeeded", 1, 0)


def test_a_start_on_the_manager_is_the_next_word(story: Story) -> None:
    story.cluster.manager.appliance("start", story.names[0], "--wait")
    assert len(running([story.agent], "keep")) == 3


def test_a_node_whose_files_are_all_damaged_keeps_its_containers_and_is_whole_again(story: Story) -> None:
    before = running([story.agent], "keep") | running([story.agent], "work")
    story.agent.appliance("stop")
    place = story.agent.data / "var/lib/appliance"
    files = [*place.glob("*.json"), *place.glob("assignments/*/*.json"), *place.glob("records/*/*.json")]
    files = [file for file in files if file.name != "node.json"]
    assert len(files) > 10
    damages = (lambda size: b"", lambda size: bytes(size), lambda size: b"\xa5" * size)
    for number, file in enumerate(sorted(files)):
        file.write_bytes(damages[number % len(damages)](file.stat().st_size))
    story.agent.start()
    story.healed = time.monotonic()
    story.converged(lambda: all(story.local(name)["ready"] for name in story.names))
    assert running([story.agent], "keep") | running([story.agent], "work") == before
    [job] = story.cluster.manager.ask("job", "ls", "work")
    assert (job["state"], len(job["runs"])) == ("succeeded", 1)


def test_a_manager_makes_its_sidecars_and_its_own_keys_anew_where_they_are_damaged(story: Story) -> None:
    manager = story.cluster.manager
    before = running([manager], "keep")
    manager.appliance("stop")
    pki, sidecars = manager.data / "etc/appliance/pki", manager.data / "etc/appliance/sidecars"
    keys = [pki / name for name in ("web/web.crt", "etcd/etcd.key", "client/client.crt", "link/user.key")]
    for file in (*keys, sidecars / "nginx/nginx.conf"):
        file.write_bytes(bytes(file.stat().st_size))
    for file in (manager.data / "var/lib/appliance/assignments/system").glob("*.json"):
        file.write_bytes(b"")
    manager.start()
    story.healed = time.monotonic()
    story.converged(lambda: manager.appliance("status", check=False).returncode == 0)
    story.converged(lambda: story.cluster.node_state(story.agent) == "ready")
    assert running([manager], "keep") == before
    story.cluster.manager.appliance("scale", "keep/main", "7", "--wait")
