"""The README's walk: three hosts, one file, `up`, `join`, `join`, `apply`."""

from pathlib import Path

import pytest

from tests.lab.cluster import Cluster, fetch, running
from tests.lab.images import docker_archive, oci_archive
from tests.lab.waiting import eventually

SHOP = Path(__file__).parents[2] / "appliance/spec/examples/shop.yaml"
SHOP_PORT = 18080


def on_every_node(image: str, service: str, replicas: int = 3) -> str:
    ticking = "while :; do echo tick on $$(hostname); sleep 1; done"
    return f"""
service: {service}
deploys:
  main:
    replicas: {replicas}
    stop_grace: 1s
    placement: {{spread: node}}
    containers:
      main: {{image: "{image}", command: ["sh", "-c", "{ticking}"]}}
"""


@pytest.fixture(scope="module")
def shop(three_nodes: Cluster) -> Cluster:
    three_nodes.apply(SHOP.read_text(), timeout=180)
    return three_nodes


def test_instances_run_on_all_three_nodes(shop: Cluster) -> None:
    rows = shop.ps("shop")
    assert all(row["ready"] for row in rows)
    assert len({row["node"] for row in rows}) == 3


def test_the_shop_answers_through_every_node(shop: Cluster) -> None:
    for asking in shop.hosts:
        for asked in shop.hosts:
            eventually(lambda: fetch(asking, f"http://{asked.address}:{SHOP_PORT}/"), timeout=20)  # noqa: B023


def test_instances_have_addresses_of_their_own(shop: Cluster) -> None:
    addresses = [row["ip"] for row in shop.ps("shop")]
    assert len(set(addresses)) == len(addresses)


def test_applying_the_same_again_changes_nothing(shop: Cluster) -> None:
    before = running(shop.hosts, "shop")
    shop.apply(SHOP.read_text())
    assert running(shop.hosts, "shop") == before
    assert {row["revision"] for row in shop.ps("shop")} == {1}


def test_a_wrong_spec_is_refused_with_its_line(shop: Cluster) -> None:
    result = shop.apply("service: wrong\ndeploys:\n  web: {replicsa: 3}\n", check=False)
    assert result.returncode == 3
    assert "3" in result.stderr
    assert "replicsa" in result.stderr


def test_an_unknown_image_is_refused_with_the_remedy(shop: Cluster) -> None:
    result = shop.apply(on_every_node("nowhere/none:1", "none"), check=False)
    assert result.returncode == 3
    assert "image load" in result.stderr


@pytest.fixture(scope="module")
def ticking(three_nodes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A service of an image that was loaded as a `docker save` archive, one instance on every node."""
    archive = tmp_path_factory.mktemp("image") / "tool.tar"
    three_nodes.load_image(docker_archive(archive, "lab/tool:1"))
    three_nodes.apply(on_every_node("lab/tool:1", "tick"))
    return three_nodes


def remote_instance(cluster: Cluster, service: str) -> str:
    here = cluster.node_name(cluster.manager)
    return next(str(row["instance"]) for row in cluster.ps(service) if row["node"] != here)


def test_a_docker_archive_runs_on_every_node(ticking: Cluster) -> None:
    assert {ticking.host_of(row["node"]).name for row in ticking.ps("tick")} == {"m1", "a1", "a2"}


def test_an_oci_archive_runs_on_every_node(three_nodes: Cluster, tmp_path: Path) -> None:
    three_nodes.load_image(oci_archive(tmp_path / "oci.tar", "lab/oci:1"))
    three_nodes.apply(on_every_node("lab/oci:1", "oci"))
    assert len({row["node"] for row in three_nodes.ps("oci")}) == 3
    three_nodes.delete("oci")


def test_another_image_of_the_same_name_is_the_next_applys_change(three_nodes: Cluster, tmp_path: Path) -> None:
    def load(version: str) -> None:
        three_nodes.load_image(docker_archive(tmp_path / "again.tar", "lab/again:1", files={"version": version}))

    def versions() -> set[str]:
        rows = three_nodes.ps("again")
        return {three_nodes.manager.appliance("exec", row["instance"], "--", "cat", "/version").stdout for row in rows}

    load("one")
    three_nodes.apply(on_every_node("lab/again:1", "again"))
    before = running(three_nodes.hosts, "again")
    load("two")
    three_nodes.manager.appliance("restart", "again/main-0", "--wait")
    assert versions() == {"one"}
    assert len(running(three_nodes.hosts, "again").items() & before.items()) == 2
    three_nodes.apply(on_every_node("lab/again:1", "again"))
    assert versions() == {"two"}
    three_nodes.manager.appliance("rollback", "again", "--wait")
    assert versions() == {"one"}
    three_nodes.delete("again")


def test_loaded_images_are_listed(ticking: Cluster) -> None:
    assert "lab/tool:1" in ticking.manager.appliance("image", "ls").stdout


def test_logs_of_a_remote_instance(ticking: Cluster) -> None:
    instance = remote_instance(ticking, "tick")
    eventually(lambda: "tick on" in ticking.manager.appliance("logs", instance).stdout, timeout=10)


def test_following_logs_shows_new_lines(ticking: Cluster) -> None:
    following = ticking.manager.spawn(*ticking.manager.command("logs", remote_instance(ticking, "tick"), "-f"))
    seen = eventually(lambda: following.log.read_text().count("tick on"), timeout=10)
    eventually(lambda: following.log.read_text().count("tick on") > seen, timeout=10)
    following.kill()
    following.wait(10)


def test_exec_on_a_remote_instance(ticking: Cluster) -> None:
    instance = remote_instance(ticking, "tick")
    assert ticking.manager.appliance("exec", instance, "--", "echo", "hello there").stdout == "hello there\n"


def test_exec_passes_input_errors_and_the_exit_code(ticking: Cluster) -> None:
    instance = remote_instance(ticking, "tick")
    program = "cat; echo wrong >&2; exit 7"
    result = ticking.manager.appliance("exec", "-i", instance, "--", "sh", "-c", program, input="typed\n", check=False)
    assert (result.stdout, result.stderr, result.returncode) == ("typed\n", "wrong\n", 7)


def test_instances_of_different_nodes_reach_each_other(ticking: Cluster) -> None:
    rows = ticking.ps("tick")
    for row in rows:
        for other in rows:
            ticking.manager.appliance("exec", row["instance"], "--", "ping", "-c1", "-W2", other["ip"])


def test_scaling_adds_and_removes_the_highest_numbers(ticking: Cluster) -> None:
    before = {row["instance"]: row["containers"][0]["id"] for row in ticking.ps("tick")}
    ticking.manager.appliance("scale", "tick/main", "5", "--wait")
    assert len([row for row in ticking.ps("tick") if row["ready"]]) == 5
    ticking.manager.appliance("scale", "tick/main", "3", "--wait")
    eventually(lambda: len(ticking.ps("tick")) == 3, timeout=30)
    assert {row["instance"]: row["containers"][0]["id"] for row in ticking.ps("tick")} == before


def test_restart_happens_in_place(ticking: Cluster) -> None:
    instance = remote_instance(ticking, "tick")

    def row() -> dict[str, object]:
        return next(row for row in ticking.ps("tick") if row["instance"] == instance)

    def started() -> list[str]:
        return [container["started_at"] for container in row()["containers"]]  # type: ignore[attr-defined]

    before, start = row(), started()
    ticking.manager.appliance("restart", instance)
    eventually(lambda: started() not in (start, []) and row()["ready"], timeout=30)
    assert (row()["node"], row()["ip"]) == (before["node"], before["ip"])


def test_a_stopped_instance_stays_down_until_it_is_started(ticking: Cluster) -> None:
    instance = remote_instance(ticking, "tick")

    def ready() -> bool:
        return bool(next(row["ready"] for row in ticking.ps("tick") if row["instance"] == instance))

    ticking.manager.appliance("stop", instance)
    eventually(lambda: not ready(), timeout=30)
    ticking.manager.appliance("start", instance)
    eventually(ready, timeout=30)


def test_delete_leaves_no_container(ticking: Cluster) -> None:
    ticking.delete("tick")
    assert "no service called tick" in ticking.manager.appliance("ps", "tick", check=False).stderr
    assert running(ticking.hosts, "tick") == {}


def test_an_agent_of_a_newer_release_is_refused_with_a_reason_at_join(
    three_nodes: Cluster, newer_package: Path
) -> None:
    host = three_nodes.lab.host("late")
    joining = three_nodes.join_arguments(host)
    host.install_package(newer_package)
    refused = host.appliance(*joining, check=False)
    assert refused.returncode == 3
    assert "newer than the manager's" in refused.stderr
    assert "nothing was installed" in refused.stderr
    assert not (host.data / "opt/appliance/releases").exists()
    assert len(three_nodes.manager.ask("node", "ls")) == 3
    three_nodes.lab.remove(host)
