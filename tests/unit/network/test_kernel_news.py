"""What the kernel says of links, routes and rules, in a network namespace of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("iptables") or not shutil.which("nft"),
    reason="needs root, iptables, nft and network namespaces",
)

_LISTENER = """
import sys
from appliance.network.kernel_news import KernelNews
news = KernelNews("flannel.1", lambda: print("changed", flush=True))
news.start()
print("listening", flush=True)
sys.stdin.read()
news.stop()
print("stopped", flush=True)
"""
_SETUP = """
ip link set lo up
ip link add flannel.1 type vxlan id 1 dstport 8472 nolearning
ip link set flannel.1 up
ip address add 10.42.1.0/32 dev flannel.1
ip route add 10.42.2.0/24 via 10.42.2.0 dev flannel.1 onlink
ip neighbour add 10.42.2.0 lladdr 02:00:00:00:00:01 dev flannel.1 nud permanent
bridge fdb add 02:00:00:00:00:01 dev flannel.1 dst 192.0.2.1 self permanent
iptables -N APPLIANCE-FORWARD
iptables -I FORWARD -j APPLIANCE-FORWARD
"""


class Heard:
    def __init__(self) -> None:
        self.namespace = f"news-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        self.do(_SETUP)
        self.listener = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.namespace}", sys.executable, "-c", _LISTENER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "listening"

    def do(self, script: str) -> None:
        subprocess.run(["nsenter", f"--net=/run/netns/{self.namespace}", "sh", "-ec", script], check=True)

    def line(self) -> str:
        assert self.listener.stdout
        return self.listener.stdout.readline().strip()

    def end(self) -> list[str]:
        """What else was heard."""
        return self.listener.communicate("", timeout=20)[0].split()

    def remove(self) -> None:
        self.listener.kill()
        self.listener.communicate()
        subprocess.run(["ip", "netns", "del", self.namespace], check=True)


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    try:
        yield heard
    finally:
        heard.remove()


@pytest.mark.parametrize(
    "script",
    [
        "ip route del 10.42.2.0/24",
        "ip neighbour del 10.42.2.0 dev flannel.1",
        "bridge fdb del 02:00:00:00:00:01 dev flannel.1 dst 192.0.2.1 self",
        "ip link del flannel.1",
        "ip address del 10.42.1.0/32 dev flannel.1",
        "iptables -F",
        "nft flush ruleset",
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/ip_forward",
    ],
)
def test_what_is_taken_away_is_heard(heard: Heard, script: str) -> None:
    heard.do(script)
    assert heard.line() == "changed"


def test_containers_that_come_and_go_are_not(heard: Heard) -> None:
    heard.do("ip link add veth0123456 type veth peer name veth6543210; ip link set veth0123456 up")
    heard.do("ip link del veth0123456")
    assert heard.end() == ["stopped"]
