"""The overlay of five hosts: who reaches whom, and how soon it is whole again after somebody took a part of it away.

The seconds of each healing are printed (`pytest -s`); `python -m tests.bench healing` takes them for docs/bench.md.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.cluster import Cluster
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.mesh import Mesh, fragments, kill_engine, readdress, reboot
from tests.lab.waiting import eventually

HEALED = 10.0
"""Seconds within which the overlay is whole again."""
CERTAINLY = 60.0
"""The same where processes start, which on a busy machine takes them several times as long."""


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Iterator[Cluster]:
    cluster = Cluster(lab)
    cluster.start(lab.host("m1"))
    for name in ("a1", "a2", "a3", "a4"):
        cluster.join(lab.host(name))
    yield cluster


@pytest.fixture(scope="module")
def mesh(cluster: Cluster) -> Mesh:
    return Mesh(cluster)


def fetch(host: Host, address: str, port: int = 8080) -> bool:
    """Whether the instance behind an address answers this host."""
    url = f"http://{address}:{port}/hostname"
    return not host.run("curl", "-sS", "--fail", "--max-time", "1", url, check=False).returncode


def test_all_instances_reach_each_other_by_address_and_by_name(mesh: Mesh) -> None:
    assert {member.host.name for member in mesh.members} == {"m1", "a1", "a2", "a3", "a4"}
    eventually(mesh.whole, timeout=20)


def test_full_size_packets_pass_uncut_and_larger_ones_are_refused(mesh: Mesh) -> None:
    """None may be cut on its way, neither inside the overlay nor by the hosts that carry it."""
    for member in mesh.members:
        for other in mesh.members:
            assert member.echo(other, 1450) == "echo 1450"
            assert other is member or member.echo(other, 1451) == "Message too long"
    assert {fragments(host) for host in mesh.cluster.hosts} == {0}


def test_a_host_reaches_the_instances_of_all_nodes(mesh: Mesh) -> None:
    for member in mesh.members:
        for host in mesh.cluster.hosts[:2]:
            assert fetch(host, member.address)


def test_what_leaves_the_overlay_has_the_hosts_address(mesh: Mesh) -> None:
    outside = mesh.cluster.lab.host("outside")
    server = outside.spawn("python3", "-c", _SEEN.format(address=outside.address))
    for member in mesh.members[:2]:
        seen = ("exec", member.instance, "--", "wget", "-qO-", f"http://{outside.address}:80/")
        manager = mesh.cluster.manager
        eventually(lambda: manager.appliance(*seen, check=False).stdout == member.host.address, timeout=10)  # noqa: B023
    server.kill()


_SEEN = """
import http.server
class Tell(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
http.server.HTTPServer(("{address}", 80), Tell).serve_forever()
"""


def net_check(cluster: Cluster, *nodes: str) -> dict[str, Any]:
    said = cluster.manager.appliance("net", "check", *nodes, "-o", "json", check=False, timeout=120)
    found: dict[str, Any] = json.loads(said.stdout)
    assert said.returncode == (0 if found["ok"] else 1)
    return found


def remedies(found: dict[str, Any]) -> str:
    return " ".join(each["next"] for way in found["ways"] for each in way["troubles"])


def test_the_check_finds_nothing_wrong_with_a_network_that_is_well(cluster: Cluster) -> None:
    found = net_check(cluster)
    count = len(cluster.hosts)
    assert found["ok"] and len(found["ways"]) == count * (count - 1)
    assert all(way["stream"] == "passes" and way["size"] == 1450 for way in found["ways"])


def test_the_check_names_a_blocked_port_and_what_to_do(cluster: Cluster) -> None:
    host = cluster.hosts[3]
    name = cluster.node_name(host)
    block = ["INPUT", "-p", "udp", "--dport", "8472", "-j", "DROP"]
    host.run("iptables", "-I", *block)
    found = net_check(cluster, name)
    host.run("iptables", "-D", *block)
    assert {way["ok"] for way in found["ways"]} == {False}
    assert "let UDP port 8472 pass" in remedies(found)


def test_the_check_finds_the_largest_packet_that_passes(cluster: Cluster) -> None:
    host = cluster.hosts[3]
    cluster.lab.narrow(host, 1400)
    found = net_check(cluster, cluster.node_name(host))
    cluster.lab.narrow(host, 1500)
    assert {way["size"] for way in found["ways"]} <= set(range(1350, 1355)), "a bridge leaves room for a VLAN tag"
    assert "ip link set dev INTERFACE mtu 140" in remedies(found)
    assert net_check(cluster)["ok"]


def test_what_is_taken_away_comes_back(mesh: Mesh) -> None:
    host, other = mesh.cluster.hosts[1:3]
    far = mesh.on(other).address
    entry = next(
        row
        for row in json.loads(host.run("bridge", "-j", "fdb", "show", "dev", "flannel.1").stdout)
        if row.get("dst") == other.address
    )
    harms = {
        "a route": ["ip", "route", "del", f"{far.rpartition('.')[0]}.0/24"],
        "a bridge entry": ["bridge", "fdb", "del", entry["mac"], "dev", "flannel.1", "dst", entry["dst"], "self"],
        "iptables -F": ["iptables", "-F"],
        "iptables -t nat -F": ["iptables", "-t", "nat", "-F"],
        "ip link del flannel.1": ["ip", "link", "del", "flannel.1"],
        "ip link del appliance0": ["ip", "link", "del", "appliance0"],
        "ip_forward": ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"],
    }
    for what, command in harms.items():
        show(what, mesh.heal(lambda: host.run(*command), HEALED))  # noqa: B023
    show("nft flush ruleset", mesh.heal(lambda: mesh.cluster.lab.flush_rules(host), HEALED))


def test_the_engine_is_killed(mesh: Mesh) -> None:
    show("kill -9 of the engine", mesh.heal(lambda: kill_engine(mesh.cluster.hosts[1]), HEALED))


def test_a_node_is_rebooted(mesh: Mesh) -> None:
    """Counted from the moment at which the product is started again, as the host's init does."""
    show("reboot", mesh.heal(lambda: reboot(mesh.cluster, mesh.cluster.hosts[2]), CERTAINLY))


def test_a_node_gets_another_address(mesh: Mesh) -> None:
    show("another address", mesh.heal(lambda: readdress(mesh.cluster, mesh.cluster.hosts[3], 100), CERTAINLY))


def show(what: str, seconds: float) -> None:
    print(f"  {what}: whole again after {seconds:.1f} s")


def test_a_node_that_cannot_use_the_overlay_says_so_after_its_join(cluster: Cluster) -> None:
    host = cluster.lab.host("walled")
    host.run("iptables", "-I", "INPUT", "-p", "udp", "--dport", "8472", "-j", "DROP")
    cluster.join(host)
    name = cluster.node_name(host)
    eventually(lambda: cluster.manager.ask("node", "show", name)["overlay"], timeout=60)
    assert "let UDP port 8472 pass" in " ".join(cluster.manager.ask("why", name)["reasons"])
    assert "the overlay is in trouble" in cluster.manager.appliance("events").stdout
