"""The overlay beside the host network: the same two hosts, the same sender, in turns, segments of one size.

Where nothing limits the links, what is compared is processor time; a link as in a machine room shows what people get.
"""

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from appliance.network.overlay import OVERHEAD
from tests.bench import figures
from tests.bench.figures import Figure
from tests.bench.processes import usage
from tests.lab.cluster import Cluster, engine_of
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SECONDS = 2
PORT = 7777
SEGMENT = 1500 - OVERHEAD - 40
"""What the MTU of the overlay leaves to TCP; the hosts' own connections are held to it too."""
LINKS = {"no limit": "", "1 Gbit/s": "1gbit", "10 Gbit/s": "10gbit"}
"""Of the hosts' links, as `tc` writes them."""
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
# What waits in the sender's own buffer has not been carried: with 16 streams that is much, and the same for both.
_SENDER = """
import fcntl, multiprocessing, socket, sys, termios, time
address, port, streams, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
def connected():
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, int(sys.argv[5]))
    connection.connect((address, port))
    return connection
def send(_):
    connection, data, sent = connected(), b"x" * (1 << 18), 0
    connection.sendall(b"t")
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        connection.sendall(data)
        sent += len(data)
    waiting = int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return (sent - waiting) / (time.monotonic() - begun)
if streams:
    with multiprocessing.Pool(streams) as pool:
        print(sum(pool.map(send, range(streams))) * 8 / 1e9)
else:
    connection = connected()
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
        words = [to.address, str(PORT), str(streams), str(SECONDS), str(SEGMENT)]
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
        for link, rate in LINKS.items():
            _limit(cluster.hosts[1:], rate)
            for streams in (1, 16):
                what = f"{streams} stream{'s' if streams > 1 else ''}, links: {link}"
                found.append(_throughput(instances, hosts, streams, rounds, what))
        _limit(cluster.hosts[1:], "")
        trips = _in_turns(instances, hosts, 0, rounds)
    ours, theirs = map(statistics.median, trips)
    return [
        *found,
        Figure("host network, TCP round trip", round(theirs, 1), "µs"),
        Figure("overlay, TCP round trip", round(ours, 1), "µs"),
        Figure("agent at rest, of a core", round(resting.cpu, 2), "%"),
        Figure("agent at rest, RSS", round(resting.rss, 1), "MB", 60),
    ]


def _limit(hosts: list[Host], rate: str) -> None:
    """Give the hosts' links this rate; "" takes the limit away."""
    for host in hosts:
        host.run("tc", "qdisc", "del", "dev", "eth0", "root", check=False)
        if rate:
            # Room for some whole super-packets of 64 kB, as a card has it; smaller ones would all be cut up here.
            host.run(*f"tc qdisc add dev eth0 root tbf rate {rate} burst 512kb latency 20ms".split())


def _throughput(ours: list[End], theirs: list[End], streams: int, rounds: int, what: str) -> Figure:
    taken = _in_turns(ours, theirs, streams, rounds)
    mine, others = map(statistics.median, taken)
    note = f"{mine:.3g} beside {others:.3g} Gbit/s, {rounds} rounds"
    ratio = figures.by_round(*taken)
    return Figure(f"overlay beside the host network, {what}", round(ratio, 3), "×", note=note, at_least=0.9)


def _instance(cluster: Cluster, host: Host) -> End:
    """What runs on this host, in its own network."""
    name = cluster.node_name(host)
    row = next(row for row in cluster.ps("wire") if row["node"] == name)
    details = engine_of(host).request("GET", f"/containers/{row['containers'][0]['id']}/json")
    return End(host, row["ip"], ("nsenter", f"--net=/proc/{details['State']['Pid']}/ns/net", "--"))


def _in_turns(ours: list[End], theirs: list[End], streams: int, rounds: int) -> tuple[list[float], list[float]]:
    """Both of each round, after one that is not counted."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for (sender, receiver), samples in figures.turns(((ours, taken[0]), (theirs, taken[1])), number):
            samples.append(sender.send(receiver, streams))
    return taken[0][1:], taken[1][1:]
