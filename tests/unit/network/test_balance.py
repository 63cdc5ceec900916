"""Stable addresses and isolation in a real kernel: a node and its instances are network namespaces."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from appliance.model.directory import DeployNames, Directory, Endpoint, Policy
from appliance.network.bridged import BridgedTraffic

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("nsenter"),
    reason="needs root, nft and network namespaces",
)

VIRTUAL = "10.42.0.9"

_BALANCE = """
import sys
from pathlib import Path
from typing import ClassVar
import msgspec
from appliance.model.directory import Directory
from appliance.network.balance import Balance
from appliance.network.bridged import BridgedTraffic
action, before = sys.argv[1:]
known = msgspec.json.decode(sys.stdin.buffer.read(), type=Directory)
balance = Balance(network="10.42.0.0/16", node="n1", number=1, directory=lambda: known,
                  bridged=BridgedTraffic(Path(before)))
if action == "remove":
    balance.remove()
else:
    balance.cycle()
    if action == "flushed":
        import subprocess
        subprocess.run(["nft", "flush", "table", "ip", "appliance"], check=True)
        balance.cycle()
"""

_SERVER = """
import socket, sys
listener = socket.create_server(("0.0.0.0", 80), backlog=256)
print("listening", flush=True)
while True:
    connection, (peer, _) = listener.accept()
    connection.sendall(f"{sys.argv[1]} {peer}".encode())
    connection.close()
"""

_CLIENT = """
import socket, sys
for _ in range(int(sys.argv[2])):
    try:
        print(socket.create_connection((sys.argv[1], 80), timeout=1).recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
"""


class Node:
    """A namespace with a bridge, the instances `a`, `b`, `c` at it, and `far` behind a router of its own."""

    instances: ClassVar = {"a": "10.42.1.2", "b": "10.42.1.3", "c": "10.42.1.4", "far": "10.42.2.2"}

    def __init__(self, folder: Path) -> None:
        self.name = f"balance-{os.getpid()}"
        self.before = folder / "before"
        self._servers: list[subprocess.Popen[str]] = []

    def make(self) -> None:
        self._ip("netns", "add", self.name)
        self._ip("-n", self.name, "link", "set", "lo", "up")
        self._ip("-n", self.name, "link", "add", "appliance0", "type", "bridge")
        self._ip("-n", self.name, "address", "add", "10.42.1.1/24", "dev", "appliance0")
        self._ip("-n", self.name, "link", "set", "appliance0", "up")
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        for instance, address in self.instances.items():
            self._plug_in(instance, address)
            self._serve(instance)

    def _plug_in(self, instance: str, address: str) -> None:
        name = f"{self.name}-{instance}"
        gateway = address.rpartition(".")[0] + ".1"
        self._ip("netns", "add", name)
        self._ip(
            "-n", self.name, "link", "add", "name", instance, "type", "veth", "peer", "name", "eth0", "netns", name
        )
        if instance == "far":
            self._ip("-n", self.name, "address", "add", f"{gateway}/24", "dev", instance)
            self._ip("-n", self.name, "link", "set", "dev", instance, "up")
        else:
            # As Docker without its userland proxy has it.
            self._ip("-n", self.name, "link", "set", "dev", instance, "master", "appliance0", "up")
            self.run("bridge", "link", "set", "dev", instance, "hairpin", "on")
        self._ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        self._ip("-n", name, "link", "set", "eth0", "up")
        self._ip("-n", name, "route", "add", "default", "via", gateway)

    def _serve(self, instance: str) -> None:
        command = self._entering(instance, sys.executable, "-c", _SERVER, instance)
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._servers.append(server)
        assert server.stdout and server.stdout.readline() == "listening\n"

    def remove(self) -> None:
        for server in self._servers:
            server.kill()
            server.wait()
        for name in (self.name, *(f"{self.name}-{instance}" for instance in self.instances)):
            with contextlib.suppress(subprocess.CalledProcessError):
                self._ip("netns", "del", name)

    def bridged(self, value: int) -> None:
        self.run("sh", "-c", f"echo {value} > /proc/sys/net/bridge/bridge-nf-call-iptables")

    def run(self, *command: str, given: str = "") -> str:
        entering = self._entering("", *command)
        return subprocess.run(entering, input=given, check=True, capture_output=True, text=True, timeout=60).stdout

    def balance(self, known: Directory, action: str = "cycle") -> None:
        self.run(sys.executable, "-c", _BALANCE, action, str(self.before), given=msgspec.json.encode(known).decode())

    def connect(self, instance: str, times: int = 1, to: str = VIRTUAL) -> Counter[str]:
        """What so many connections of an instance ("" : the node itself) to an address were answered."""
        command = self._entering(instance, sys.executable, "-c", _CLIENT, to, str(times))
        return Counter(subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.splitlines())

    def _entering(self, instance: str, *command: str) -> list[str]:
        name = f"{self.name}-{instance}" if instance else self.name
        # In a mount namespace with /proc and /sys of the network namespace.
        return ["ip", "netns", "exec", name, *command]

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("balance"))
    try:
        node.make()
        yield node
    finally:
        node.remove()


def directory(*ready: str, isolated: dict[str, tuple[str, ...]] | None = None) -> Directory:
    """All instances are of ``shop/web``, but `far`, which is of ``far/web`` on another node."""
    endpoints = {
        name: Endpoint(
            instance=name,
            service="far" if name == "far" else "shop",
            deploy="web",
            index=index,
            ip=ip,
            node="n2" if name == "far" else "n1",
            ready=name in ready,
        )
        for index, (name, ip) in enumerate(Node.instances.items())
    }
    policies = {service: Policy(allow=allow) for service, allow in (isolated or {}).items()}
    return Directory(endpoints=endpoints, deploys={"shop/web": DeployNames(virtual=VIRTUAL)}, policies=policies)


@pytest.mark.parametrize("bridged", [0, 1])
def test_connections_go_to_ready_instances_in_turn_from_wherever_they_come(node: Node, bridged: int) -> None:
    node.bridged(bridged)
    node.balance(directory("a", "b"))
    for client in ("", "far", "c", "a"):
        answers = node.connect(client, 20)
        by_server = Counter(answer.split()[0] for answer in answers.elements())
        assert by_server == {"a": 10, "b": 10}, (client, answers)


def test_who_comes_from_elsewhere_is_seen_with_its_own_address(node: Node) -> None:
    node.balance(directory("a"))
    assert node.connect("far") == {"a 10.42.2.2": 1}


def test_without_a_ready_instance_a_connection_is_refused_at_once(node: Node) -> None:
    node.balance(directory())
    for client in ("", "far", "c"):
        assert node.connect(client) == {"ConnectionRefusedError": 1}
        assert node.connect(client, to="10.42.255.254") == {"ConnectionRefusedError": 1}


def test_what_somebody_flushed_comes_back(node: Node) -> None:
    node.balance(directory("b"), action="flushed")
    assert node.connect("far") == {"b 10.42.2.2": 1}


@pytest.mark.parametrize("bridged", [0, 1])
def test_an_isolated_service_takes_in_its_own_kind_the_node_and_nobody_else(node: Node, bridged: int) -> None:
    node.bridged(bridged)
    node.balance(directory("a", "b", isolated={"shop": ()}))
    for client, answers in (("", True), ("a", True), ("far", False)):
        for address in (VIRTUAL, node.instances["b"]):
            assert ("TimeoutError" not in node.connect(client, to=address)) == answers, (client, address)
    node.balance(directory("a", "b", isolated={"shop": ("far",)}))
    assert "TimeoutError" not in node.connect("far")


def test_neighbours_of_another_service_are_kept_out_and_may_be_asked(node: Node) -> None:
    node.bridged(0)
    known = directory("a", isolated={"shop": ()})
    stranger = msgspec.structs.replace(known.endpoints["c"], service="stranger")
    known = msgspec.structs.replace(known, endpoints=known.endpoints | {"c": stranger})
    node.balance(known)
    for address in (VIRTUAL, node.instances["a"]):
        assert node.connect("c", to=address) == {"TimeoutError": 1}
    assert node.connect("a", to=node.instances["c"]) == {"c 10.42.1.2": 1}


def test_removal_leaves_nothing_and_the_bridge_as_it_was(node: Node) -> None:
    node.balance(Directory(), action="remove")
    node.bridged(0)
    before = node.run("nft", "list", "ruleset") + node.run("ip", "route")
    node.balance(directory("a", isolated={"shop": ()}))
    assert node.run("cat", "/proc/sys/net/bridge/bridge-nf-call-iptables") == "1\n"
    for _ in range(2):
        node.balance(Directory(), action="remove")
    assert node.run("nft", "list", "ruleset") + node.run("ip", "route") == before
    assert node.run("cat", "/proc/sys/net/bridge/bridge-nf-call-iptables") == "0\n"


def test_a_setting_that_is_right_is_not_remembered(tmp_path: Path) -> None:
    setting, before = tmp_path / "setting", tmp_path / "before"
    setting.write_text("1\n")
    traffic = BridgedTraffic(before, setting)
    traffic.show()
    assert not before.exists()
    traffic.restore()
    assert setting.read_text() == "1\n"
