"""One file on a host without default route, one command: a cluster with a page."""

import json

import pytest

from tests.lab.cluster import BUSY, Cluster, ca_of, fetch, running, token_in, up
from tests.lab.lab import Lab
from tests.lab.waiting import eventually


@pytest.fixture(scope="module")
def cluster(one_node: Cluster) -> Cluster:
    assert one_node.manager.run("ip", "route", "show", "default").stdout == ""
    return one_node


def test_up_prints_where_to_log_in_and_how_to_join(cluster: Cluster) -> None:
    assert cluster.up["url"].startswith(f"https://{cluster.manager.address}")
    assert cluster.up["admin_user"]
    assert len(cluster.up["admin_password"]) >= 10
    assert token_in(cluster.up["join"]["agent"])


def test_status_is_healthy(cluster: Cluster) -> None:
    status = cluster.manager.ask("status")
    assert status["cluster"]["state"] == "healthy"
    (manager,) = status["managers"]
    assert manager["leader"] is True
    (node,) = status["nodes"]
    assert (node["address"], node["state"]) == (cluster.manager.address, "ready")
    assert set(node["roles"]) == {"manager", "agent"}


def test_the_page_answers_under_the_clusters_own_authority(cluster: Cluster) -> None:
    page = fetch(cluster.manager, cluster.up["url"], "--location", "--cacert", ca_of(cluster.manager))
    assert "<html" in page.lower()


def test_another_host_reaches_the_page(cluster: Cluster) -> None:
    visitor = cluster.lab.host("visitor")
    page = fetch(visitor, cluster.up["url"], "--location", "--cacert", ca_of(cluster.manager))
    assert "<html" in page.lower()
    cluster.lab.remove(visitor)


def test_the_manual_of_this_version_is_served_offline(cluster: Cluster) -> None:
    url = f"{cluster.up['url'].rstrip('/')}/docs/"
    assert "glossary" in fetch(cluster.manager, url, "--location", "--cacert", ca_of(cluster.manager)).lower()


def test_the_first_password_logs_in_and_another_does_not(cluster: Cluster) -> None:
    def login(password: str) -> str:
        body = json.dumps({"user": cluster.up["admin_user"], "password": password})
        origin = cluster.up["url"].rstrip("/")
        headers = ("-H", "Content-Type: application/json", "-H", f"Origin: {origin}")
        quiet = ("-o", "/dev/null", "-w", "%{http_code}", "-s", "--cacert", str(ca_of(cluster.manager)))
        return cluster.manager.run("curl", *quiet, *headers, "-d", body, f"{origin}/api/login").stdout

    assert login(cluster.up["admin_password"]).startswith("2")
    assert login("not-the-password").startswith("4")


def test_the_api_refuses_strangers(cluster: Cluster) -> None:
    url = f"{cluster.up['url'].rstrip('/')}/api/ps"
    result = cluster.manager.run("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", url)
    assert result.stdout in ("401", "403")


def test_up_again_changes_nothing(cluster: Cluster) -> None:
    before = running(cluster.hosts, "system")
    assert len(before) >= 3
    again = up(cluster.manager)
    assert again["url"] == cluster.up["url"]
    assert running(cluster.hosts, "system") == before


def test_a_missing_address_is_not_guessed_from_a_missing_route(lab: Lab) -> None:
    """With one address the host needs no `--address`, although it has no default route."""
    host = lab.host("alone")
    answer = host.ask("up", "--yes", *BUSY, timeout=180)
    assert host.address in answer["url"]
    lab.remove(host)


def test_the_manager_comes_back_after_a_power_cut(cluster: Cluster) -> None:
    cluster.lab.reboot(cluster.manager)
    cluster.manager.start()
    eventually(lambda: "healthy" in cluster.manager.appliance("status", check=False).stdout, timeout=90, every=0.5)
    assert cluster.manager.ask("status")["cluster"]["state"] == "healthy"
