"""The entry: requests from outside reach ready instances, by TLS too, and none is lost while a service changes."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.security.ca import issue, make_ca
from tests.lab.cluster import Cluster, ca_of, fetch
from tests.lab.host import Host
from tests.lab.load import Load
from tests.lab.one_way import VISITOR
from tests.lab.waiting import eventually

SPEC = """
service: shop
variables: {colour: blue}
configs:
  nginx.conf:
    path: /etc/nginx/nginx.conf
    text: |
      worker_processes 1;
      error_log stderr;
      pid /tmp/nginx.pid;
      user root;
      events { worker_connections 512; }
      http {
        access_log off;
        server {
          listen 8080;
          location / { return 200 "${instance.name} ${colour}\\n"; }
        }
      }
deploys:
  web:
    replicas: 3
    containers:
      main:
        image: appliance/nginx
        stop_signal: SIGQUIT
        ports: {http: 8080}
        health: {ready: {http: /, port: http, every: 500ms}}
entry:
  - {host: shop.local, to: web/http}
  - {host: shop.local, path: /upload, to: web/http, body: 1k}
  - {host: safe.local, to: web/http, tls: only}
  - {host: sticky.local, to: web/http, sticky: true}
  - {tcp: 7000, to: web/http}
"""


@pytest.fixture(scope="module")
def cluster(three_nodes: Cluster) -> Iterator[Cluster]:
    three_nodes.apply(SPEC)
    eventually(lambda: len(answers(three_nodes)) == 3, timeout=20)
    yield three_nodes


def at(cluster: Cluster, url: str, *options: str | Path, host: Host | None = None) -> str:
    """What a client on another host gets from the manager's entry; names resolve to it."""
    name = url.split("/")[2].partition(":")[0]
    port = 443 if url.startswith("https") else 80
    resolve = f"{name}:{port}:{cluster.manager.address}"
    return fetch(host or cluster.hosts[1], url, "--resolve", resolve, *options)


def answers(cluster: Cluster) -> set[str]:
    """Names of the instances that answer."""
    return {at(cluster, "http://shop.local/").split()[0] for _ in range(12)}


def test_requests_are_spread_over_the_ready_instances(cluster: Cluster) -> None:
    assert answers(cluster) == {"shop/web-0", "shop/web-1", "shop/web-2"}


def test_a_host_that_no_rule_names_is_told_so(cluster: Cluster) -> None:
    with pytest.raises(AssertionError, match="404"):
        at(cluster, "http://other.local/")


def test_a_clients_requests_stay_with_one_instance_where_the_rule_says_so(cluster: Cluster) -> None:
    assert len({at(cluster, "http://sticky.local/") for _ in range(12)}) == 1


def test_a_request_larger_than_the_rule_allows_is_refused(cluster: Cluster) -> None:
    assert at(cluster, "http://shop.local/upload", "-d", "a" * 900).startswith("shop/web-")
    with pytest.raises(AssertionError, match="413"):
        at(cluster, "http://shop.local/upload", "-d", "a" * 2000)


def test_the_clusters_authority_vouches_for_each_host_and_http_2_is_spoken(cluster: Cluster) -> None:
    ca = ca_of(cluster.manager)
    eventually(lambda: at(cluster, "https://shop.local/", "--cacert", ca, "--http2"), timeout=10)
    said = at(cluster, "https://shop.local/", "--cacert", ca, "--http2", "-w", "%{http_version}", "-o", "/dev/null")
    assert said == "2"


def test_plain_requests_are_sent_to_tls_where_the_rule_says_only(cluster: Cluster) -> None:
    said = at(cluster, "http://safe.local/a?b", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}")
    assert said == "308 https://safe.local/a?b"
    assert at(cluster, "https://safe.local/", "--cacert", ca_of(cluster.manager)).startswith("shop/web-")


def test_a_tcp_port_leads_to_the_instances(cluster: Cluster) -> None:
    assert fetch(cluster.hosts[1], f"http://{cluster.manager.address}:7000/").startswith("shop/web-")


def test_a_certificate_comes_from_a_secret(cluster: Cluster) -> None:
    authority = make_ca("another", time.time())
    pair = issue(authority, "own.local", time.time(), names=("own.local",), server=True)
    ca = cluster.manager.directory / "another.crt"
    ca.write_bytes(authority.certificate)
    text = (pair.certificate + pair.key).decode()
    cluster.manager.appliance("secret", "set", "own/tls", input=text)
    cluster.apply(
        """
service: own
secrets: [tls]
deploys: {web: {containers: {main: {image: appliance/busybox, command: [httpd, -f, -p, "80"], ports: {http: 80}}}}}
entry: [{host: own.local, to: web/http, certificate: tls}]
"""
    )
    options = ("--cacert", ca, "-o", "/dev/null", "-w", "%{ssl_verify_result}")
    # busybox has no page; that it says so by TLS is what counts
    url, resolve = "https://own.local/", f"own.local:443:{cluster.manager.address}"
    said = eventually(
        lambda: (
            cluster.hosts[1].run(*VISITOR, "curl", "-sS", *options, "--resolve", resolve, url, check=False).stdout
            == "0"
        ),
        timeout=10,
    )
    assert said
    cluster.delete("own")


def test_a_rule_that_another_service_has_is_refused_with_its_name(cluster: Cluster) -> None:
    thief = """
service: thief
deploys: {web: {containers: {main: {image: appliance/busybox, ports: {http: 80}}}}}
entry: [{host: shop.local, to: web/http}, {tcp: 7000, to: web/http}]
"""
    done = cluster.apply(thief, check=False)
    assert done.returncode == 3
    assert "the service shop has the entry shop.local/ already" in done.stderr
    assert "the service shop has the entry tcp/7000 already" in done.stderr


def test_a_rule_for_a_port_that_is_taken_leaves_the_others_in_force(cluster: Cluster) -> None:
    listen = (
        "import socket, time; held = socket.create_server(('', 7001)); print('listens', flush=True); time.sleep(600)"
    )
    listener = cluster.manager.spawn(sys.executable, "-c", listen)
    eventually(lambda: "listens" in listener.log.read_text(), timeout=20)
    cluster.apply(
        """
service: late
deploys: {web: {containers: {main: {image: appliance/busybox, command: [httpd, -f, -p, "80"], ports: {http: 80}}}}}
entry: [{tcp: 7001, to: web/http}, {tcp: 7002, to: web/http}]
"""
    )

    def told() -> bool:
        text = cluster.manager.appliance("ps", "system", "-o", "json").stdout
        return "tcp/7001 is left out" in text

    eventually(told, timeout=15)
    ask = (*VISITOR, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{cluster.manager.address}:7002/")
    eventually(lambda: cluster.hosts[1].run(*ask, check=False).stdout == "404", timeout=10)  # busybox has no page
    assert answers(cluster)
    listener.kill()
    cluster.delete("late")


def _webs(cluster: Cluster) -> list[dict[str, Any]]:
    return [row for row in cluster.ps("shop") if row["deploy"] == "web"]


def _row(cluster: Cluster, instance: str) -> dict[str, Any]:
    return next(row for row in cluster.ps("shop") if row["instance"] == instance)


@pytest.mark.parametrize("change", ["update", "fewer", "move", "restart"])
def test_no_request_is_lost(cluster: Cluster, change: str) -> None:
    cluster.apply(SPEC)
    eventually(lambda: len(answers(cluster)) == 3, timeout=20)
    load = Load(cluster.hosts[2], cluster.manager.address, "shop.local")
    manager = cluster.manager
    if change == "update":
        cluster.apply(SPEC.replace("colour: blue", "colour: red"))
        assert "red" in at(cluster, "http://shop.local/")
    elif change == "fewer":
        manager.appliance("scale", "shop/web", "1")
        eventually(lambda: len(_webs(cluster)) == 1, timeout=60)
        manager.appliance("scale", "shop/web", "3")
        eventually(lambda: len(answers(cluster)) == 3, timeout=60)
        manager.appliance("scale", "shop/web", "--clear")
    elif change == "move":
        before = _row(cluster, "shop/web-2")["node"]
        manager.appliance("move", "shop/web-2")
        eventually(lambda: _row(cluster, "shop/web-2")["node"] != before, timeout=60)
        eventually(lambda: bool(_row(cluster, "shop/web-2")["ready"]), timeout=60)
    else:
        manager.appliance("restart", "shop/web-0")
        eventually(lambda: not _row(cluster, "shop/web-0")["ready"], timeout=60)
        eventually(lambda: bool(_row(cluster, "shop/web-0")["ready"]), timeout=60)
    counts = load.end()
    print(f"{change}: {counts}")
    assert counts["errors"] == {}
    assert counts["requests"] > 500


def test_the_entry_is_there_after_a_reboot_without_a_manager(cluster: Cluster) -> None:
    """A node that carries the label serves what it knew."""
    manager, labelled = cluster.hosts[:2]
    manager.appliance("node", "label", cluster.node_name(labelled), "entry=yes")
    asked = ("--cacert", ca_of(manager), "--resolve", f"shop.local:443:{labelled.address}")
    eventually(lambda: fetch(cluster.hosts[2], "https://shop.local/", *asked), timeout=20)
    manager.power_off()
    labelled.power_off()
    labelled.power_on()
    labelled.start()
    eventually(lambda: fetch(cluster.hosts[2], "https://shop.local/", *asked), timeout=60)
