"""A host with busybox and nothing else: no Python, no Docker, no xz, no bash, no default route."""

from collections.abc import Iterator

import pytest

from tests.lab.cluster import Cluster, fetch
from tests.lab.lab import Lab


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Iterator[Cluster]:
    cluster = Cluster(lab)
    cluster.start(lab.host("bare", bare=True))
    yield cluster


def test_help_version_and_verify_run(lab: Lab) -> None:
    host = lab.host("fresh", bare=True)
    assert "up" in host.appliance("--help").stdout
    assert host.appliance("version").stdout.strip()
    assert host.appliance("verify").returncode == 0
    lab.remove(host)


def test_nothing_but_the_answer_is_printed(lab: Lab) -> None:
    host = lab.host("quiet", bare=True)
    assert host.appliance("version").stderr == ""
    assert len(host.appliance("version").stdout.splitlines()) == 1
    lab.remove(host)


def test_up_makes_a_healthy_cluster(cluster: Cluster) -> None:
    assert cluster.manager.ask("status")["cluster"]["state"] == "healthy"


def test_the_page_is_reachable_from_another_host(cluster: Cluster) -> None:
    visitor = cluster.lab.host("visitor")
    assert "<html" in fetch(visitor, cluster.up["url"], "--location", "-k").lower()


def test_a_service_runs_there(cluster: Cluster) -> None:
    cluster.apply(
        """
        service: hello
        deploys:
          main: {containers: {main: {image: appliance/busybox, command: [sleep, "1000000"]}}}
        """
    )
    (row,) = cluster.ps("hello")
    assert row["ready"] is True
