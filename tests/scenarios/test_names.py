"""Names: what a container finds by asking its node, also while no manager lives."""

from collections.abc import Iterator

import pytest

from tests.lab.cluster import Cluster
from tests.lab.host import CommandFailed
from tests.lab.waiting import eventually

SPEC = """
service: names
deploys:
  web:
    replicas: 3
    stop_grace: 1s
    placement: {spread: node}
    containers:
      main:
        image: appliance/busybox
        command: [sh, -c, "touch /tmp/well; exec sleep 1000000"]
        ports: {http: 8080}
        health: {ready: {exec: [test, -e, /tmp/well], every: 1s, failures: 1}}
"""
ASKING = "names/web-0"


@pytest.fixture(scope="module")
def cluster(three_nodes: Cluster) -> Iterator[Cluster]:
    three_nodes.apply(SPEC)
    yield three_nodes


def addresses(cluster: Cluster) -> dict[str, str]:
    return {row["instance"]: row["ip"] for row in cluster.ps("names")}


def ask(cluster: Cluster, name: str, instance: str = ASKING) -> set[str]:
    """Addresses that a container gets for a name; none when there is no such name."""
    try:
        said = cluster.manager.appliance("exec", instance, "--", "nslookup", name).stdout
    except CommandFailed:
        return set()
    answers = said.partition("\n\n")[2]
    return {line.split()[-1] for line in answers.splitlines() if line.startswith("Address")}


def test_an_instance_answers_to_its_name_on_every_node(cluster: Cluster) -> None:
    known = addresses(cluster)
    for asking in known:
        for name in ("web-2.web.names.appliance.internal", "2.web.names.appliance.internal"):
            eventually(lambda: ask(cluster, name, asking) == {known["names/web-2"]}, timeout=10)  # noqa: B023


def test_short_names_are_of_the_own_service_first(cluster: Cluster) -> None:
    ping = ("ping", "-c1", "-W2")
    for name in ("web-1", "web-1.web", "web", "web.names", "web-1.names"):
        cluster.manager.appliance("exec", ASKING, "--", *ping, name)


def test_an_address_has_the_name_of_its_instance(cluster: Cluster) -> None:
    address = addresses(cluster)["names/web-1"]
    said = cluster.manager.appliance("exec", ASKING, "--", "nslookup", address).stdout
    assert "web-1.web.names.appliance.internal" in said


def test_a_named_port_has_a_record(cluster: Cluster) -> None:
    question = ("nslookup", "-type=srv", "_http._tcp.web.names.appliance.internal")
    said = cluster.manager.appliance("exec", ASKING, "--", *question).stdout
    assert "8080" in said and "web.names.appliance.internal" in said


def test_an_instance_that_is_not_ready_is_left_out_of_its_deploys_name(cluster: Cluster) -> None:
    known, deploy = addresses(cluster), "web.names.appliance.internal"
    eventually(lambda: ask(cluster, deploy) == set(known.values()), timeout=10)
    cluster.manager.appliance("exec", "names/web-2", "--", "rm", "/tmp/well")
    others = {ip for name, ip in known.items() if name != "names/web-2"}
    eventually(lambda: ask(cluster, deploy) == others, timeout=10)
    cluster.manager.appliance("exec", "names/web-2", "--", "touch", "/tmp/well")
    eventually(lambda: ask(cluster, deploy) == set(known.values()), timeout=10)


def test_names_that_are_not_ours_go_to_the_sites_servers_and_ours_never(cluster: Cluster) -> None:
    assert ask(cluster, "none.names.appliance.internal") == set()


def test_a_node_answers_while_every_manager_is_dead(cluster: Cluster) -> None:
    known = addresses(cluster)
    agent = next(host for host in cluster.hosts[1:])
    row = next(row for row in cluster.ps("names") if cluster.host_of(row["node"]) is agent)
    container = row["containers"][0]["id"]
    cluster.manager.power_off()
    engine = f"unix://{agent.root}/run/appliance/docker.sock"
    said = agent.run("docker", "-H", engine, "exec", container, "nslookup", "web-0.web.names.appliance.internal").stdout
    assert known["names/web-0"] in said
