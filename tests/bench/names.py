"""Answers per second of a node's name server beside a plain dnsmasq: the same image, records, host and client."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from appliance.host.layout import Layout
from appliance.model.cluster import DOMAIN
from tests.bench import figures
from tests.bench.figures import Figure
from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SECONDS = 2.0
CLIENTS = 3
INSTANCES = 10
PLAIN_PORT = 5300
_A, _PTR, _SRV = 1, 12, 33
"""Types of questions (RFC 1035, RFC 2782)."""
_SERVICE = f"""
service: named
deploys:
  web:
    replicas: {INSTANCES}
    stop_grace: 0s
    containers: {{main: {{image: appliance/busybox, command: [sleep, "1000000"], ports: {{http: 8080}}}}}}
"""
_PLAIN = """
service: plain
configs:
  dnsmasq.conf: {{path: /config/dnsmasq.conf, text: {config}}}
  hosts: {{path: /config/hosts, text: {hosts}}}
deploys:
  dns:
    network: host
    containers:
      main:
        image: appliance/dns
        command: [--keep-in-foreground, --log-facility=-, --conf-file=/config/dnsmasq.conf]
"""
# Says how the server answers each question (code, number of answers), then answers per second of all the processes.
_CLIENT = """
import json, multiprocessing, socket, sys, time
server, seconds, clients = (sys.argv[1], int(sys.argv[2])), float(sys.argv[3]), int(sys.argv[4])
questions = [bytes.fromhex(question) for question in sys.argv[5:]]
def connected():
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.connect(server)
    asking.settimeout(1)
    return asking
def ask(_):
    asking, answers, end = connected(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for question in questions:
            asking.send(question)
        try:
            for _ in questions:
                asking.recv(4096)
                answers += 1
        except TimeoutError:
            pass
    return answers
def once(question):
    asking = connected()
    asking.send(question)
    answer = asking.recv(4096)
    return answer[3] & 15, int.from_bytes(answer[6:8])
said = [once(question) for question in questions]
with multiprocessing.Pool(clients) as pool:
    print(json.dumps([said, sum(pool.map(ask, range(clients))) / seconds]))
"""


def names(package: Path, rounds: int) -> list[Figure]:
    """Questions come from an instance: addresses of instances and of their deploy, names of addresses, a port."""
    with Lab(package=package) as lab:
        cluster = Cluster(lab)
        cluster.start(lab.host("m1"))
        cluster.apply(_SERVICE)
        rows = cluster.ps("named")
        hosts, config = _records(cluster)
        gateway = rows[0]["ip"].rpartition(".")[0] + ".1"
        plain = f"user=root\nport={PLAIN_PORT}\nlisten-address={gateway}\nbind-interfaces\nno-hosts\nno-resolv\n"
        plain += "addn-hosts=/config/hosts\n" + config
        cluster.apply(_PLAIN.format(config=json.dumps(plain), hosts=json.dumps(hosts)))
        questions = _questions([row["ip"] for row in rows])
        eventually(lambda: _asked(cluster, rows[0], gateway, PLAIN_PORT, questions[:1]), timeout=20)
        rates: dict[int, list[float]] = {53: [], PLAIN_PORT: []}
        for number in range(rounds + 1):
            order = figures.turns(tuple(rates), number)
            told = {port: _asked(cluster, rows[0], gateway, port, questions) for port in order}
            assert told[53][0] == told[PLAIN_PORT][0] == [[0, 1]] * (len(questions) - 1) + [[0, INSTANCES]], told
            for port, (_, rate) in told.items() if number else ():
                rates[port].append(rate)
    ours, theirs = (statistics.median(taken) for taken in rates.values())
    ratio = figures.by_round(*rates.values())
    note = f"{CLIENTS} clients, {rounds} × {SECONDS:g} s each"
    return [
        Figure("answers of a node's name server", round(ours), "/s", note=note),
        Figure("… of a plain dnsmasq with the same records", round(theirs), "/s"),
        Figure("name server beside plain dnsmasq", round(ratio, 3), "×", at_least=0.95),
    ]


def _records(cluster: Cluster) -> tuple[str, str]:
    """The lines that the node's own server has of the service, once all its instances are in: hosts, and ports."""
    layout = Layout(cluster.manager.data)
    file = layout.names / "hosts/named"
    eventually(lambda: file.read_text().count(f" web.named.{DOMAIN}") == INSTANCES, timeout=20)
    lines = (layout.sidecar_files / "dns/dnsmasq.conf").read_text().splitlines()
    return file.read_text(), "".join(f"{line}\n" for line in lines if line.startswith("srv-host="))


def _questions(addresses: list[str]) -> list[str]:
    asked = [(f"web-{index}.web.named.{DOMAIN}", _A) for index in range(INSTANCES)]
    asked += [(".".join(reversed(address.split("."))) + ".in-addr.arpa", _PTR) for address in addresses]
    asked += [(f"_http._tcp.web.named.{DOMAIN}", _SRV), (f"web.named.{DOMAIN}", _A)]
    return [_question(name, kind).hex() for name, kind in asked]


def _question(name: str, kind: int) -> bytes:
    """A message of one question that may be passed on (RFC 1035, 4.1)."""
    header = b"\0\1" + b"\1\0" + b"\0\1" + bytes(6)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return header + labels + b"\0" + kind.to_bytes(2) + b"\0\1"


def _asked(
    cluster: Cluster, row: dict[str, Any], address: str, port: int, questions: list[str]
) -> tuple[list[list[int]], float]:
    """What the server says to each question, and its answers per second, in the network of the instance."""
    pid = min(cluster.manager.container_pids(row["containers"][0]["id"]))
    inside = ["nsenter", f"--target={pid}", "--net", sys.executable, "-c", _CLIENT]
    words = [address, str(port), str(SECONDS), str(CLIENTS), *questions]
    done = subprocess.run([*inside, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers, rate = json.loads(done.stdout)
    return answers, rate
