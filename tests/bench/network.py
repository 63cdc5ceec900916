"""What the way by a stable address costs: the same two instances on two nodes, directly and by it, in turns."""

import json
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path

from tests.bench import figures
from tests.bench.figures import Figure
from tests.lab.cluster import Cluster
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SPEC = """
service: bench
deploys:
  server:
    stop_grace: 0s
    containers: {main: {image: appliance/busybox, command: [sleep, "1000000"], ports: {data: 9000}}}
  client:
    stop_grace: 0s
    placement: {away: [server]}
    containers: {main: {image: appliance/busybox, command: [sleep, "1000000"]}}
"""
SECONDS = 2.0
# A connection that says "s" gets data until it is closed; any other one is closed at once.
_SERVER = """
import socket, threading
def serve(connection):
    block = bytes(1 << 20)
    try:
        while connection.recv(1) == b"s":
            while True:
                connection.sendall(block)
    except OSError:
        pass
    connection.close()
listener = socket.create_server(("0.0.0.0", 9000), backlog=256)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""
_CLIENT = """
import json, socket, statistics, sys, threading, time
address, streams, seconds = (sys.argv[1], 9000), int(sys.argv[2]), float(sys.argv[3])
received = [0] * streams
def stream(number):
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"s")
        room = bytearray(1 << 20)
        while time.monotonic() < end:
            received[number] += connection.recv_into(room)
def connect():
    begun = time.perf_counter()
    socket.create_connection(address, timeout=10).close()
    return time.perf_counter() - begun
end = time.monotonic() + seconds
if streams:
    threads = [threading.Thread(target=stream, args=(number,)) for number in range(streams)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(json.dumps(sum(received) * 8 / seconds / 1e9))
else:
    print(json.dumps(statistics.median(connect() for _ in range(1000)) * 1e6))
"""


def network(package: Path, rounds: int) -> list[Figure]:
    """Throughput with 1 and 16 streams, and the time that a connection takes."""
    with Lab(package=package) as lab:
        cluster = Cluster(lab)
        cluster.start(lab.host("m1"))
        cluster.join(lab.host("a1"))
        cluster.apply(SPEC)
        rows = {row["deploy"]: row for row in cluster.ps("bench")}
        virtual = eventually(lambda: cluster.ps("bench")[-1]["virtual"], timeout=10)
        with subprocess.Popen(_inside(cluster, rows["server"], _SERVER), stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout and server.stdout.readline() == "listening\n"
            try:
                return _compared(cluster, rows["client"], rows["server"]["ip"], virtual, rounds)
            finally:
                server.kill()


def _compared(cluster: Cluster, client: dict[str, object], direct: str, virtual: str, rounds: int) -> list[Figure]:
    taken: dict[tuple[int, str], list[float]] = {
        (streams, to): [] for streams in (1, 16, 0) for to in (direct, virtual)
    }
    for number in range(rounds + 1):
        for streams, to in product((1, 16, 0), figures.turns((direct, virtual), number)):
            arguments = (to, str(streams), str(SECONDS))
            said = subprocess.run(_inside(cluster, client, _CLIENT, *arguments), capture_output=True, check=True)
            if number:
                taken[streams, to].append(json.loads(said.stdout))
    found = []
    for streams, what, unit in ((1, "1 stream", "Gbit/s"), (16, "16 streams", "Gbit/s"), (0, "connection", "µs")):
        plain, balanced = (statistics.median(taken[streams, to]) for to in (direct, virtual))
        both = (taken[streams, virtual], taken[streams, direct])
        value = figures.by_round(*(both if streams else both[::-1]))
        note = f"{balanced:.3g} beside {plain:.3g} {unit}, {rounds} rounds"
        found.append(Figure(f"stable address beside direct, {what}", round(value, 3), "×", note=note, at_least=0.97))
    return found


def _inside(cluster: Cluster, row: dict[str, object], program: str, *arguments: str) -> list[str]:
    """The command that runs Python code in the network of an instance."""
    host: Host = cluster.host_of(str(row["node"]))
    containers = row["containers"]
    assert isinstance(containers, list)
    pid = min(host.container_pids(containers[0]["id"]))
    return ["nsenter", f"--target={pid}", "--net", sys.executable, "-c", program, *arguments]
