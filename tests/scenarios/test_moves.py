"""Instances leave their nodes when somebody says so, and never otherwise; whoever comes back runs nothing twice.

The tests are one story and run in this order.
"""

from typing import Any

import pytest

from tests.lab.cluster import Cluster, running
from tests.lab.waiting import eventually

SERVICE = """
service: roam
deploys:
  web: {replicas: 4, max_unavailable: 1, stop_grace: 1s, containers: {main: CONTAINER}}
  lost: {replicas: 2, stop_grace: 1s, on_unreachable: {move_after: 15s}, containers: {main: CONTAINER}}
  auto:
    stop_grace: 1s
    autoscale: {min: 2, max: 3, cpu: 90%}
    containers: {main: {image: appliance/busybox, command: [sleep, "100000"], resources: {cpu: 10m}}}
  fixed: {stop_grace: 1s, placement: {node: m1}, containers: {main: CONTAINER}}
  each: {scale: every-node, stop_grace: 1s, containers: {main: CONTAINER}}
  data:
    stop_grace: 1s
    placement: {require: {disk: here}}
    volumes: {kept: {size: 1Mi}}
    containers: {main: {image: appliance/busybox, command: [sleep, "100000"], volumes: {kept: /kept}}}
""".replace("CONTAINER", '{image: appliance/busybox, command: [sleep, "100000"]}')

JOBS = """
service: batch
jobs:
  once: {type: once, stop_grace: 1s, container: CONTAINER}
  normal: {type: normal, stop_grace: 1s, container: CONTAINER}
""".replace("CONTAINER", '{image: appliance/busybox, command: [sleep, "100000"]}')


AIR = """
service: air
deploys:
  web: {network: NETWORK, stop_grace: 1s, containers: {main: {image: appliance/busybox, command: [sleep, "100000"]}}}
"""


class Nodes:
    """What runs where: by the API's word, and as the engines see it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.manager, self.near, self.far = (cluster.node_name(host) for host in cluster.hosts)
        self.far_host = cluster.hosts[2]

    def say(self, *words: str) -> str:
        return str(self.cluster.manager.appliance(*words, timeout=150).stdout)

    def refusal(self, *words: str) -> str:
        result = self.cluster.manager.appliance(*words, check=False)
        assert result.returncode == 3, result.stdout
        return str(result.stderr)

    def rows(self, deploy: str = "") -> list[dict[str, Any]]:
        return [row for row in self.cluster.ps("roam") if deploy in ("", row["deploy"])]

    def home(self, instance: str) -> str:
        return next(str(row["node"]) for row in self.rows() if row["instance"] == instance)

    def hosts_of(self, service: str = "roam") -> dict[str, list[str]]:
        """Instance → hosts on which a container of it runs."""
        found: dict[str, list[str]] = {}
        for place in running(self.cluster.hosts, service):
            host, _, container = place.partition(":")  # appliance.ROOT.SERVICE.INSTANCE.CONTAINER
            found.setdefault(container.split(".")[3], []).append(host)
        return found

    def far_containers(self, *deploys: str, service: str = "roam") -> dict[str, str]:
        """Instance → id of its container on the far host, whether anybody can reach it or not."""
        found = {name.split(".")[3]: each for name, (each, _) in running([self.far_host], service).items()}
        return {name: each for name, each in found.items() if not deploys or name.rpartition("-")[0] in deploys}

    def bring_to_far(self, *instances: str) -> None:
        for name in instances:
            if self.home(name) != self.far:
                self.say("move", name, "--to", self.far, "--wait")

    def each_runs_once(self) -> bool:
        hosts = self.hosts_of()
        wanted = {row["instance"].partition("/")[2]: row for row in self.rows()}
        alone = all(len(places) == 1 for places in hosts.values())
        return alone and hosts.keys() == wanted.keys() and all(row["ready"] for row in wanted.values())

    def lose_far(self) -> None:
        self.cluster.lab.cut(self.far_host)
        eventually(lambda: self.cluster.node_state(self.far_host) == "unreachable", timeout=40, every=0.5)

    def heal_far(self) -> None:
        self.cluster.lab.heal(self.far_host)
        eventually(lambda: self.cluster.node_state(self.far_host) == "ready", timeout=60, every=0.5)


@pytest.fixture(scope="module")
def nodes(three_nodes: Cluster) -> Nodes:
    nodes = Nodes(three_nodes)
    nodes.say("node", "label", nodes.near, "disk=here")
    three_nodes.apply(SERVICE)
    nodes.say("node", "label", nodes.far, "disk=here")
    return nodes


def test_a_moved_instance_runs_on_the_other_node_alone_and_keeps_its_name(nodes: Nodes) -> None:
    name = next(row["instance"] for row in nodes.rows("web") if row["node"] != nodes.far)
    nodes.say("move", name, "--to", nodes.far, "--wait")
    assert nodes.home(name) == nodes.far
    assert nodes.hosts_of()[name.partition("/")[2]] == [nodes.far_host.name]
    assert "is on" in nodes.refusal("move", name, "--to", nodes.far)


def test_what_belongs_to_its_node_is_not_moved(nodes: Nodes) -> None:
    assert "runs once on every node" in nodes.refusal("move", nodes.rows("each")[0]["instance"])
    assert "roam/fixed-0 is pinned to" in nodes.refusal("move", "roam/fixed-0")
    assert "has data on its node" in nodes.refusal("move", "roam/data-0")


def test_an_update_to_the_overlay_gets_an_address_where_it_is(nodes: Nodes) -> None:
    nodes.cluster.apply(AIR.replace("NETWORK", "host"))
    (before,) = nodes.cluster.ps("air")
    nodes.cluster.apply(AIR.replace("NETWORK", "overlay"))
    (after,) = nodes.cluster.ps("air")
    assert (before["ip"], after["node"], after["ready"]) == ("", before["node"], True)
    shown = nodes.say("exec", "air/web-0", "--", "hostname", "-i")
    assert after["ip"] and shown.split() == [after["ip"]]


def test_data_is_left_behind_only_when_a_person_says_so(nodes: Nodes) -> None:
    nodes.say("move", "roam/data-0", "--discard-data", "--wait")
    assert nodes.hosts_of()["data-0"] == [nodes.far_host.name]


def test_a_drain_never_has_more_away_than_allowed_and_says_what_stays(nodes: Nodes) -> None:
    manager = nodes.cluster.manager
    nodes.bring_to_far("roam/auto-0", "roam/lost-0")
    draining = manager.spawn(*manager.command("node", "drain", nodes.far, "--wait", "--timeout", "120s"))
    ready = []
    while draining.running:
        ready.append(sum(row["ready"] for row in nodes.rows("web")))
    said = draining.log.read_text()
    assert draining.wait(1) == 0, said
    assert min(ready) >= 3, ready
    assert "Its deploy runs on every node." in said
    assert "roam/data-0 stays. Its data is on this node, in the volume kept" in said
    assert {row["deploy"] for row in nodes.rows() if row["node"] == nodes.far} == {"each", "data"}
    eventually(nodes.each_runs_once, timeout=90)
    assert len(nodes.rows("auto")) == 2


def test_a_drained_node_takes_nothing_until_it_is_uncordoned(nodes: Nodes) -> None:
    assert "it is cordoned" in nodes.refusal("move", "roam/web-0", "--to", nodes.far)
    nodes.say("node", "uncordon", nodes.far)
    nodes.bring_to_far("roam/web-0", "roam/web-1", "roam/lost-0", "roam/auto-0")
    eventually(nodes.each_runs_once, timeout=90)


def test_what_a_cut_off_node_runs_stays_there_unless_its_deploy_says_otherwise(nodes: Nodes) -> None:
    staying = ("web", "auto", "each", "data")
    before = nodes.far_containers()
    nodes.lose_far()
    assert {row["state"] for row in nodes.rows() if row["node"] == nodes.far} == {"unreachable"}

    def anything_happened_to_them() -> bool:
        there = {row["instance"] for row in nodes.rows() if row["node"] == nodes.far and row["deploy"] in staying}
        return nodes.far_containers() != before or {name.partition("/")[2] for name in there} != set(
            nodes.far_containers(*staying)
        )

    with pytest.raises(TimeoutError):
        eventually(anything_happened_to_them, timeout=30, every=1)
    assert nodes.home("roam/lost-0") != nodes.far
    # Nobody could tell the far one.
    eventually(lambda: len(nodes.hosts_of()["lost-0"]) == 2, timeout=60)
    nodes.heal_far()
    eventually(nodes.each_runs_once, timeout=90)
    assert nodes.far_containers() == {name: each for name, each in before.items() if not name.startswith("lost")}


def test_an_evicted_nodes_instances_start_elsewhere_at_once_but_no_once_job_is_repeated(nodes: Nodes) -> None:
    for name in (nodes.manager, nodes.near):
        nodes.say("node", "cordon", name)
    (nodes.cluster.manager.data / "batch.yaml").write_text(JOBS)
    nodes.say("apply", str(nodes.cluster.manager.root / "batch.yaml"))
    eventually(lambda: len(nodes.far_containers(service="batch")) == 2, timeout=60)
    for name in (nodes.manager, nodes.near):
        nodes.say("node", "uncordon", name)
    nodes.lose_far()
    assert "--fenced" in nodes.refusal("node", "evict", nodes.far)
    nodes.say("node", "evict", nodes.far, "--fenced", "--yes")

    def all_elsewhere() -> bool:
        rows = nodes.rows()
        return len(rows) == 12 and all(row["ready"] and row["node"] != nodes.far for row in rows)

    eventually(all_elsewhere, timeout=90)
    eventually(lambda: len(nodes.hosts_of("batch")["normal-0"]) == 2, timeout=60)
    assert nodes.hosts_of("batch")["once-0"] == [nodes.far_host.name]
    assert outcome(nodes, "once") == "unknown"
    assert outcome(nodes, "normal") == ""


def test_an_evicted_node_that_returns_stops_what_has_been_placed_elsewhere(nodes: Nodes) -> None:
    nodes.heal_far()
    eventually(lambda: not nodes.far_containers() and not nodes.far_containers(service="batch"), timeout=60)
    eventually(nodes.each_runs_once, timeout=90)
    assert set(nodes.hosts_of("batch")) == {"normal-0"}
    nodes.say("node", "uncordon", nodes.far)
    eventually(lambda: nodes.far_containers("each"), timeout=60)
    eventually(nodes.each_runs_once, timeout=90)


def outcome(nodes: Nodes, job: str) -> str:
    """Of the newest run."""
    rows = nodes.cluster.manager.ask("job", "ls", "batch")
    return next(str(row["runs"][-1]["outcome"]) for row in rows if row["job"] == f"batch/{job}")
