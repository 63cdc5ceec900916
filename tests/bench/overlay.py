"""The overlay beside the host network: the same two hosts, the same sender, in turns."""

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.processes import usage
from tests.lab.cluster import Cluster, engine_of
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SECONDS = 3
PORT = 7777
SPEC = """
service: wire
deploys:
  end:
    replicas: 2
    placement: {spread: node, require: {side: "yes"}}
    containers: {main: {image: appliance/busybox, command: [sleep, "1000000"]}}
"""
_RECEIVER = """
import socket, sys, threading
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
def serve(connection):
    room = bytearray(1 << 20)
    kind = connection.recv(1)
    while size := connection.recv_into(room):
        if kind == b"e":
            connection.sendall(room[:size])
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
_SENDER = """
import multiprocessing, socket, sys, time
address, port, streams, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
def send(_):
    connection, data, sent = socket.create_connection((address, port)), b"x" * (1 << 18), 0
    connection.sendall(b"t")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection.sendall(data)
        sent += len(data)
    return sent
if streams:
    with multiprocessing.Pool(streams) as pool:
        print(sum(pool.map(send, range(streams))) * 8 / seconds / 1e9)
else:
    connection = socket.create_connection((address, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"e")
    begun = time.monotonic()
    for _ in range(3000):
        connection.sendall(b"x")
        connection.recv(1)
    print((time.monotonic() - begun) / 3000 * 1e6)
"""


@dataclass(frozen=True)
class End:
    """A network to measure from or to: a host's own, or an instance's on it (`entering` goes there)."""

    host: Host
    address: str
    entering: tuple[str, ...] = ()

    def receive(self) -> None:
        server = self.host.spawn(*self.entering, sys.executable, "-c", _RECEIVER, self.address, str(PORT))
        eventually(lambda: "listening" in server.log.read_text(), timeout=20)

    def send(self, to: "End", streams: int) -> float:
        """Gbit/s of so many streams; of none the microseconds of a round trip."""
        words = [to.address, str(PORT), str(streams), str(SECONDS)]
        return float(self.host.run(*self.entering, sys.executable, "-c", _SENDER, *words, timeout=120).stdout)


def overlay(package: Path, rounds: int) -> list[Figure]:
    """Container to container on two hosts beside host to host; then an agent that has nothing to do."""
    with Lab(package=package) as lab:
        cluster = Cluster(lab)
        cluster.start(lab.host("m1"))
        for name in ("a1", "a2"):
            cluster.join(lab.host(name))
        for host in cluster.hosts[1:]:
            cluster.manager.appliance("node", "label", cluster.node_name(host), "side=yes")
        resting = usage(cluster.hosts[1], 20)["agent"]
        cluster.apply(SPEC)
        hosts = [End(host, host.address) for host in cluster.hosts[1:]]
        instances = [_instance(cluster, host) for host in cluster.hosts[1:]]
        for end in (hosts[1], instances[1]):
            end.receive()
        found = []
        for streams in (1, 16):
            ours, theirs = _in_turns(instances, hosts, streams, rounds)
            what = f"{streams} stream{'s' if streams > 1 else ''}"
            found += [
                Figure(f"host network, {what}", round(theirs, 2), "Gbit/s"),
                Figure(f"overlay, {what}", round(ours, 2), "Gbit/s"),
                Figure("… beside the host network", round(ours / theirs, 2), "×", at_least=0.9),
            ]
        ours, theirs = _in_turns(instances, hosts, 0, rounds)
    return [
        *found,
        Figure("host network, TCP round trip", round(theirs, 1), "µs"),
        Figure("overlay, TCP round trip", round(ours, 1), "µs"),
        Figure("agent at rest, of a core", round(resting.cpu, 2), "%"),
        Figure("agent at rest, RSS", round(resting.rss, 1), "MB", 60),
    ]


def _instance(cluster: Cluster, host: Host) -> End:
    """What runs on this host, in its own network."""
    name = cluster.node_name(host)
    row = next(row for row in cluster.ps("wire") if row["node"] == name)
    details = engine_of(host).request("GET", f"/containers/{row['containers'][0]['id']}/json")
    return End(host, row["ip"], ("nsenter", f"--net=/proc/{details['State']['Pid']}/ns/net", "--"))


def _in_turns(ours: list[End], theirs: list[End], streams: int, rounds: int) -> tuple[float, float]:
    """Medians."""
    taken = [[ends[0].send(ends[1], streams) for ends in (ours, theirs)] for _ in range(rounds)]
    mine, others = zip(*taken, strict=True)
    return statistics.median(mine), statistics.median(others)
