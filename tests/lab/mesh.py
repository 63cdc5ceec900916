"""One instance on every node, and whether each of them reaches all others: what an overlay is there for."""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.lab.cluster import Cluster, engine_of
from tests.lab.host import Host
from tests.lab.one_way import VISITOR
from tests.lab.waiting import eventually

PORT = 8080
PUBLISHED = 18080
SPEC = f"""
service: mesh
deploys:
  web:
    scale: every-node
    stop_grace: 1s
    placement: {{tolerate: ["*"]}}
    containers:
      main:
        image: appliance/busybox
        command: [sh, -c, "httpd -f -p {PORT} -h /etc"]
        ports: {{http: {{port: {PORT}, publish: {PUBLISHED}}}}}
"""
_REACHES = f"""
for target in "$@"; do wget -q -T 1 -O /dev/null http://$target:{PORT}/hostname || {{ echo $target; exit 1; }}; done
"""
# An echo request of so many bytes, IP header included, that no router may cut (ip(7), IP_PMTUDISC_DO).
_WHOLE_PACKET = """
import os, socket, struct, sys
address, size = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
    wire.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    wire.settimeout(2)
    number = os.getpid() & 0xFFFF
    body = bytes(size - 28)
    total = (8 << 8) + number + 1
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    try:
        wire.sendto(struct.pack("!BBHHH", 8, 0, ~total & 0xFFFF, number, 1) + body, (address, 0))
        while True:
            packet, (sender, _) = wire.recvfrom(65536)
            kind, _, _, identity, _ = struct.unpack("!BBHHH", packet[20:28])
            if (kind, identity, sender) == (0, number, address):
                print("echo", len(packet))
                break
    except OSError as error:
        print(error.errno and os.strerror(error.errno) or error)
"""


@dataclass(frozen=True)
class Member:
    """One of the instances. Names and addresses stay for good; the container of it does not."""

    instance: str
    address: str
    host: Host

    @property
    def name(self) -> str:
        return f"{self.instance.partition('/')[2]}.web.mesh.appliance.internal"

    def entering(self, *namespaces: str) -> tuple[str, ...]:
        """The words that take a command on the host into the instance. Raises as the engine does while it is away."""
        running = engine_of(self.host).running("appliance.instance", self.instance)
        (container,) = [identity for identity, _ in running.values()]
        details = engine_of(self.host).request("GET", f"/containers/{container}/json")
        return ("nsenter", f"--target={details['State']['Pid']}", *namespaces, "--")

    def unreached(self, targets: list[str]) -> str:
        """The first of these names and addresses that does not answer this instance, "" for none."""
        try:
            entering = self.entering("--net", "--mount")
        except (OSError, RuntimeError, ValueError) as error:
            return f"{self.instance} does not run: {error}"
        asked = self.host.run(*entering, "/bin/sh", "-c", _REACHES, "sh", *targets, check=False)
        return "" if asked.returncode == 0 else f"{self.instance} to {asked.stdout or asked.stderr}"

    def unreached_by(self, host: Host) -> str:
        """What of it does not answer a host, which goes to it and to the port that its own host publishes for it."""
        urls = [
            f"http://{address}/hostname" for address in (f"{self.address}:{PORT}", f"{self.host.address}:{PUBLISHED}")
        ]
        asked = host.run(*VISITOR, "curl", "-sS", "--fail", "--max-time", "1", *urls, check=False)
        return "" if asked.returncode == 0 else f"{host.name} to {self.instance}: {asked.stderr}"

    def echo(self, to: "Member", size: int) -> str:
        """`echo SIZE` when a packet of this size was answered in one piece, else what is against it."""
        command = (*self.entering("--net"), sys.executable, "-c", _WHOLE_PACKET, to.address, str(size))
        return self.host.run(*command).stdout.strip()


class Mesh:
    """`service` runs on all nodes of the cluster from here on."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.apply(SPEC)
        hosts = {cluster.node_name(host): host for host in cluster.hosts}
        rows = cluster.ps("mesh")
        self.members = [Member(row["instance"], row["ip"], hosts[row["node"]]) for row in rows]

    def on(self, host: Host) -> Member:
        return next(member for member in self.members if member.host is host)

    def whole(self) -> bool:
        """Whether all instances reach all, by address and by name, and each is reached by the host of another.

        An AssertionError names those that are not.
        """
        targets = [target for member in self.members for target in (member.address, member.name)]
        others = [member.host for member in self.members[1:] + self.members[:1]]
        with ThreadPoolExecutor(len(self.members)) as threads:
            inside = threads.map(lambda member: member.unreached(targets), self.members)
            outside = threads.map(Member.unreached_by, self.members, others)
            failures = [failure for failure in (*inside, *outside) if failure]
        assert not failures, failures
        return True

    def heal(self, harm: Callable[[], object], timeout: float = 60) -> float:
        """Do harm; returns the seconds from the end of that until the mesh is whole."""
        eventually(self.whole, timeout=60)
        harm()
        begun = time.monotonic()
        eventually(self.whole, timeout=timeout)
        return time.monotonic() - begun


def fragments(host: Host) -> int:
    """How many packets the host's kernel has cut so far (RFC 1213, ipFragCreates)."""
    names, values = host.run("grep", "^Ip:", "/proc/net/snmp").stdout.splitlines()
    return int(dict(zip(names.split(), values.split(), strict=True))["FragCreates"])


def readdress(cluster: Cluster, host: Host, last: int) -> None:
    """Give a node another address as docs/nodes.md says: the host gets it, the cluster is told, the old one goes."""
    eventually(lambda: not cluster.manager.appliance("node", "ls", check=False).returncode, timeout=60)
    name, address = cluster.node_name(host), cluster.lab.give_address(host, last)
    cluster.manager.appliance("node", "set-address", name, address)
    file = host.data / "var/lib/appliance/node.json"
    eventually(lambda: json.loads(file.read_text())["address"] == address, timeout=30)
    cluster.lab.move(host, address)


def kill_engine(host: Host) -> None:
    host.run("sh", "-c", f"kill -9 $(cut -d' ' -f1 {host.root}/run/appliance/engine.pid)")


def reboot(cluster: Cluster, host: Host) -> None:
    cluster.lab.reboot(host)
    host.start()
