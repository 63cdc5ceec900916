"""The overlay between two hosts that are network namespaces."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from appliance.network.overlay import vtep_mac

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("iptables") or not shutil.which("nsenter"),
    reason="needs root, iptables and network namespaces",
)

_OVERLAY = """
import sys
from appliance.model.node import Peer
from appliance.network.overlay import Overlay, vtep_mac
action, number, *others = sys.argv[1:]
overlay = Overlay(network="10.42.0.0/16", node="node-" + number, number=int(number), address="10.99.0." + number)
overlay.reconcile(tuple(Peer(node="node-" + o, number=int(o), address="10.99.0." + o, vtep_mac=vtep_mac("node-" + o))
                        for o in (number, *others)))
if action == "remove":
    overlay.remove()
else:
    overlay.cycle()
    overlay.cycle()
    print(overlay.mtu())
"""

_SERVER = """
import socket
listener = socket.create_server(("10.42.2.2", 80))
print("listening", flush=True)
connection, (address, _) = listener.accept()
connection.sendall(address.encode())
"""
_CLIENT = """
import socket
connection = socket.create_connection(("10.42.2.2", 80), timeout=10)
print(connection.recv(100).decode(), end="")
"""


class Hosts:
    """Two namespaces joined by a cable, each with a bridge and an instance (one more namespace) at it."""

    def __init__(self) -> None:
        self.names = [f"overlay-{os.getpid()}-{number}" for number in (1, 2)]

    def make(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        first, second = self.names
        cable = ["ip", "-n", first, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", second]
        subprocess.run(cable, check=True)
        for number in (1, 2):
            self.ip(number, "addr", "add", f"10.99.0.{number}/24", "dev", "eth0")
            self.ip(number, "link", "set", "eth0", "up")
            self.ip(number, "link", "set", "lo", "up")
            self.ip(number, "link", "add", "appliance0", "type", "bridge")
            self.ip(number, "addr", "add", f"10.42.{number}.1/24", "dev", "appliance0")
            self.ip(number, "link", "set", "appliance0", "up")
            self.run(number, "iptables", "-P", "FORWARD", "DROP")
            self._make_instance(number)

    def _make_instance(self, number: int) -> None:
        name = f"{self.names[number - 1]}-instance"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.ip(number, "link", "add", "port", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.ip(number, "link", "set", "port", "master", "appliance0", "up")
        for words in (
            ["addr", "add", f"10.42.{number}.2/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["route", "add", "default", "via", f"10.42.{number}.1"],
        ):
            subprocess.run(["ip", "-n", name, *words], check=True)

    def instance(self, number: int, program: str) -> list[str]:
        """The command that runs Python code as the node's instance."""
        return ["nsenter", f"--net=/run/netns/{self.names[number - 1]}-instance", sys.executable, "-c", program]

    def remove(self) -> None:
        for name in [*self.names, *(f"{name}-instance" for name in self.names)]:
            with contextlib.suppress(subprocess.CalledProcessError):
                subprocess.run(["ip", "netns", "del", name], check=True)

    def run(self, number: int, *command: str, check: bool = True) -> str:
        entering = ["nsenter", f"--net=/run/netns/{self.names[number - 1]}", *command]
        return subprocess.run(entering, check=check, capture_output=True, text=True, timeout=60).stdout

    def ip(self, number: int, *words: str) -> str:
        return self.run(number, "ip", *words)

    def overlay(self, action: str, number: int, *others: int) -> str:
        return self.run(number, sys.executable, "-c", _OVERLAY, action, str(number), *map(str, others))


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    hosts = Hosts()
    try:
        hosts.make()
        yield hosts
    finally:
        hosts.remove()


def test_instances_on_two_nodes_reach_each_other(hosts: Hosts) -> None:
    assert hosts.overlay("reconcile", 1, 2).strip() == "1450"
    hosts.overlay("reconcile", 2, 1)
    with subprocess.Popen(hosts.instance(2, _SERVER), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout and server.stdout.readline() == "listening\n"
            client = subprocess.run(hosts.instance(1, _CLIENT), capture_output=True, text=True, timeout=20)
            assert client.stdout == "10.42.1.2", "the instance's own address, not the host's"
        finally:
            server.kill()


def test_a_second_reconciliation_changes_nothing(hosts: Hosts) -> None:
    def seen() -> tuple[str, ...]:
        rules = hosts.run(1, "iptables", "-S"), hosts.run(1, "iptables", "-t", "nat", "-S")
        return (hosts.ip(1, "route"), hosts.ip(1, "neigh", "show", "nud", "permanent"), hosts.ip(1, "link"), *rules)

    hosts.overlay("reconcile", 1, 2)
    before = seen()
    hosts.overlay("reconcile", 1, 2)
    assert seen() == before
    assert before[3].count("-j APPLIANCE-FORWARD") == 1


def test_what_somebody_removed_comes_back_and_nodes_that_left_are_forgotten(hosts: Hosts) -> None:
    hosts.overlay("reconcile", 1, 2, 3)
    hosts.ip(1, "route", "del", "10.42.2.0/24")
    hosts.run(1, "iptables", "-F", "APPLIANCE-FORWARD")
    hosts.overlay("reconcile", 1, 2)
    assert "10.42.2.0/24 via 10.42.2.0 dev flannel.1 proto static onlink" in hosts.ip(1, "route")
    assert "10.42.3.0" not in hosts.ip(1, "route") + hosts.ip(1, "neigh", "show", "nud", "permanent")
    assert vtep_mac("node-3") not in hosts.run(1, "bridge", "fdb", "show", "dev", "flannel.1")
    assert vtep_mac("node-2") in hosts.run(1, "bridge", "fdb", "show", "dev", "flannel.1")
    assert "-s 10.42.0.0/16 -d 10.42.0.0/16 -j ACCEPT" in hosts.run(1, "iptables", "-S", "APPLIANCE-FORWARD")


def test_our_chain_is_put_first_again(hosts: Hosts) -> None:
    hosts.overlay("reconcile", 1)
    hosts.run(1, "iptables", "-I", "FORWARD", "1", "-j", "DROP")
    hosts.overlay("reconcile", 1)
    assert hosts.run(1, "iptables", "-S", "FORWARD").splitlines()[1] == "-A FORWARD -j APPLIANCE-FORWARD"


def test_removal_leaves_nothing(hosts: Hosts) -> None:
    hosts.overlay("reconcile", 1, 2)
    for _ in range(2):
        hosts.overlay("remove", 1, 2)
    assert "flannel.1" not in hosts.ip(1, "link") + hosts.ip(1, "route")
    assert "APPLIANCE" not in hosts.run(1, "iptables", "-S") + hosts.run(1, "iptables", "-t", "nat", "-S")


_MEND = """
from appliance.network.bridge_device import mend
mend("appliance0", "10.42.1.1/24", 1450)
"""

_REACH = """
import socket
print(socket.socket().connect_ex(("10.42.1.2", 80)))
"""
REFUSED = "111"
"""ECONNREFUSED: the instance is there, and nothing listens."""


def test_a_bridge_that_was_deleted_is_made_anew_with_its_instances(hosts: Hosts) -> None:
    hosts.ip(1, "link", "set", "port", "name", "veth0123456")
    hosts.ip(1, "link", "del", "appliance0")
    for _ in range(2):
        hosts.run(1, sys.executable, "-c", _MEND)
    assert "master appliance0" in hosts.ip(1, "link", "show", "veth0123456")
    assert hosts.run(1, sys.executable, "-c", _REACH).strip() == REFUSED


def test_a_bridge_without_its_address_gets_it_back(hosts: Hosts) -> None:
    hosts.ip(1, "addr", "flush", "dev", "appliance0")
    hosts.ip(1, "link", "set", "appliance0", "down")
    hosts.run(1, sys.executable, "-c", _MEND)
    assert hosts.run(1, sys.executable, "-c", _REACH).strip() == REFUSED
