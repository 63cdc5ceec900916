"""The overlay of five hosts: who reaches whom, and how soon it is whole again after somebody took a part of it away.

The seconds of each healing are printed (`pytest -s`).
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.cluster import Cluster
from tests.lab.host import CommandFailed, Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

HEALED = 10.0
"""Seconds within which the overlay is whole again."""
SPEC = """
service: mesh
deploys:
  web:
    scale: every-node
    stop_grace: 1s
    placement: {tolerate: ["*"]}
    containers:
      main:
        image: appliance/busybox
        command: [sh, -c, "httpd -f -p 8080 -h /etc"]
        ports: {http: {port: 8080, publish: 18080}}
"""


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Iterator[Cluster]:
    cluster = Cluster(lab)
    cluster.start(lab.host("m1"))
    for name in ("a1", "a2", "a3", "a4"):
        cluster.join(lab.host(name))
    cluster.apply(SPEC)
    yield cluster


def instances(cluster: Cluster) -> dict[str, tuple[str, Host]]:
    """Instance → (address, host)."""
    hosts = {cluster.node_name(host): host for host in cluster.hosts}
    return {row["instance"]: (row["ip"], hosts[row["node"]]) for row in cluster.ps("mesh")}


def address_on(known: dict[str, tuple[str, Host]], host: Host) -> str:
    return next(address for address, at in known.values() if at is host)


def inside(cluster: Cluster, instance: str, script: str, *, check: bool = True) -> str:
    try:
        return cluster.manager.appliance("exec", instance, "--", "sh", "-c", script).stdout
    except CommandFailed as failure:
        if check:
            raise
        return str(failure)


def ping_all(targets: list[str], options: str) -> str:
    """A script that names each target that does not answer."""
    return f"for target in {' '.join(targets)}; do ping -c1 -W2 {options} $target >/dev/null || echo $target; done"


def fetch(host: Host, address: str, port: int = 8080) -> bool:
    """Whether the instance behind an address answers this host."""
    url = f"http://{address}:{port}/hostname"
    return not host.run("curl", "-sS", "--fail", "--max-time", "1", url, check=False).returncode


def heal(what: str, harm: Callable[[], object], whole: Callable[[], object]) -> None:
    """Do harm; the overlay is whole again within HEALED seconds."""
    eventually(whole, timeout=60)
    harm()
    begun = time.monotonic()
    eventually(whole, timeout=HEALED)
    print(f"  {what}: whole again after {time.monotonic() - begun:.1f} s")


def test_all_instances_reach_each_other_by_address_and_by_name(cluster: Cluster) -> None:
    known = instances(cluster)
    assert len(known) == len(cluster.hosts)
    targets = [address for address, _ in known.values()]
    names = [f"{name.partition('/')[2]}.web.mesh.appliance.internal" for name in known]
    for name in known:
        eventually(lambda: inside(cluster, name, ping_all([*targets, *names], "")) == "", timeout=20)  # noqa: B023


def test_full_size_packets_pass_and_none_has_to_be_cut(cluster: Cluster) -> None:
    known = instances(cluster)
    mtu = int(inside(cluster, next(iter(known)), "cat /sys/class/net/eth0/mtu"))
    assert mtu == 1450
    for name in known:
        # busybox has no -M do: what is larger than an MTU on the way would be cut, and the count of cuts is looked at.
        assert inside(cluster, name, ping_all([address for address, _ in known.values()], f"-s {mtu - 28}")) == ""
    for host in cluster.hosts:
        names, values = host.run("grep", "^Ip:", "/proc/net/snmp").stdout.splitlines()
        seen = dict(zip(names.split(), values.split(), strict=True))
        assert seen["FragCreates"] == "0"


def test_a_host_reaches_the_instances_of_all_nodes(cluster: Cluster) -> None:
    for address, _ in instances(cluster).values():
        for host in cluster.hosts[:2]:
            assert fetch(host, address)


def test_what_leaves_the_overlay_has_the_hosts_address(cluster: Cluster) -> None:
    outside = cluster.lab.host("outside")
    server = outside.spawn("python3", "-c", _SEEN.format(address=outside.address))
    for name, (_, host) in list(instances(cluster).items())[:2]:
        eventually(lambda: inside(cluster, name, f"wget -qO- http://{outside.address}:80/") == host.address, timeout=10)  # noqa: B023
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


def test_what_is_taken_away_comes_back(cluster: Cluster) -> None:
    known = instances(cluster)
    host, other, third = cluster.hosts[1:4]
    own, far = (address_on(known, each) for each in (host, other))
    entry = next(
        row
        for row in json.loads(host.run("bridge", "-j", "fdb", "show", "dev", "flannel.1").stdout)
        if row.get("dst") == other.address
    )

    def whole() -> bool:
        """From the host and to it, and through the port that it publishes."""
        return fetch(host, far) and fetch(other, own) and fetch(third, host.address, 18080)

    harms = {
        "a route": ["ip", "route", "del", f"{far.rpartition('.')[0]}.0/24"],
        "a bridge entry": ["bridge", "fdb", "del", entry["mac"], "dev", "flannel.1", "dst", entry["dst"], "self"],
        "iptables -F": ["iptables", "-F"],
        "iptables -t nat -F": ["iptables", "-t", "nat", "-F"],
        "nft flush ruleset": ["nft", "flush", "ruleset"],
        "ip link del flannel.1": ["ip", "link", "del", "flannel.1"],
        "ip link del appliance0": ["ip", "link", "del", "appliance0"],
        "ip_forward": ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"],
    }
    for what, command in harms.items():
        heal(what, lambda: host.run(*command), whole)  # noqa: B023


def test_the_engine_is_killed(cluster: Cluster) -> None:
    known, host, other = instances(cluster), cluster.hosts[1], cluster.hosts[2]
    own, far = (address_on(known, each) for each in (host, other))

    def kill() -> None:
        host.run("sh", "-c", f"kill -9 $(cut -d' ' -f1 {host.root}/run/appliance/engine.pid)")

    def whole() -> bool:
        return fetch(host, far) and fetch(other, own) and fetch(other, host.address, 18080)

    heal("kill -9 of the engine", kill, whole)
    ping = ("curl", "-sS", "--unix-socket", host.root / "run/appliance/docker.sock", "http://localhost/_ping")
    eventually(lambda: host.run(*ping, check=False).returncode == 0, timeout=60)
    assert whole()


def test_a_node_is_rebooted(cluster: Cluster) -> None:
    """Counted from the moment at which the product is started again, as the host's init does."""
    known, host, other = instances(cluster), cluster.hosts[2], cluster.hosts[1]
    own = address_on(known, host)
    cluster.lab.reboot(host)
    host.spawn(*host.command("run"))
    begun = time.monotonic()
    eventually(lambda: fetch(other, own), timeout=60)
    print(f"  reboot: reached {time.monotonic() - begun:.1f} s after `run` began")


def test_a_node_that_cannot_use_the_overlay_says_so_after_its_join(cluster: Cluster) -> None:
    host = cluster.lab.host("walled")
    host.run("iptables", "-I", "INPUT", "-p", "udp", "--dport", "8472", "-j", "DROP")
    cluster.join(host)
    name = cluster.node_name(host)
    eventually(lambda: cluster.manager.ask("node", "show", name)["overlay"], timeout=60)
    assert "let UDP port 8472 pass" in " ".join(cluster.manager.ask("why", name)["reasons"])
    assert "the overlay is in trouble" in cluster.manager.appliance("events").stdout
