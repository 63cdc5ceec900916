"""A cluster whose entry has a virtual address, and a client of it that is no node."""

import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from tests.lab.cluster import Cluster, up
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SPEC = """
service: shop
deploys:
  web:
    scale: every-node
    stop_grace: 1s
    containers:
      main:
        image: appliance/busybox
        command: [httpd, -f, -p, "8080", -h, /etc]
        ports: {http: 8080}
        health: {ready: {tcp: 8080, every: 1s}}
entry:
  - {host: shop.local, to: web/http}
"""


class VipCluster:
    """One manager and two agents that serve the entry, with one virtual address; `client` is a host beside them.

    `own` is the address of the cluster itself.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.cluster = Cluster(lab)
        self.own = lab.gateway.rpartition(".")[0] + ".199"
        manager = lab.host("m1")
        self.cluster.hosts.append(manager)
        self.cluster.up = up(manager, "--vip", f"{self.own}/24")
        self.client = lab.host("c1")
        for name in ("a1", "a2"):
            host = lab.host(name)
            self.cluster.join(host)
            self.cluster.manager.appliance("node", "label", self.cluster.node_name(host), "entry=")
        self.cluster.apply(SPEC)
        self.address = self._add()
        eventually(lambda: len(self.owners()) == 1, timeout=30)
        self.settle()

    def _add(self) -> str:
        """An address that an agent is to hold, so that the manager can be asked while its holder is away."""
        net, manager = self.lab.gateway.rpartition(".")[0], self.cluster.manager
        for number in range(200, 220):
            row = manager.ask("vip", "add", f"{net}.{number}/24")
            if row["preferred"] != self.cluster.node_name(manager):
                return str(row["address"])
            manager.appliance("vip", "rm", row["address"])
        raise AssertionError("the manager is preferred for every address")

    def owners(self) -> list[Host]:
        """Hosts that have the address on an interface now, by what their kernels say."""
        return [host for host in self.cluster.hosts if host.on and self.address in addresses(host)]

    def owner(self) -> Host:
        eventually(lambda: len(self.owners()) == 1, timeout=15)
        return self.owners()[0]

    def settle(self) -> None:
        """Wait until every node that is on takes part as before, and the preferred one has the address: by what the
        kernels say, and then by what the product shows."""
        row = self.row()
        hosts = [host for host in self.cluster.hosts if host.on and self.cluster.node_name(host) in row["candidates"]]
        eventually(lambda: all(standing(host) == "0" for host in hosts), timeout=60)
        preferred = [row["preferred"]]
        eventually(lambda: [self.cluster.node_name(host) for host in self.owners()] == preferred, timeout=60)
        eventually(lambda: self.row()["owners"] == preferred, timeout=60)

    def row(self) -> dict[str, Any]:
        """As the product shows it."""
        rows = self.cluster.manager.ask("vip", "ls")
        return next(row for row in rows if row["address"] == self.address)

    def most_owners(self, seconds: float) -> int:
        """The most hosts that were seen to have the address at once, looking ten times a second."""
        most, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.monotonic()
            most = max(most, len(self.owners()))
            time.sleep(max(0.0, 0.1 - (time.monotonic() - begun)))
        return most

    def kill(self, host: Host) -> float:
        """Take a host's power away; returns the moment. The kernel lives on in the lab, so the cable goes first."""
        moment = time.time()
        self.lab.cut(host)
        host.power_off()
        return moment

    def back(self, host: Host) -> None:
        """Switch a host on again that was killed, and wait until all is as before."""
        self.lab.reboot(host)
        host.start()
        eventually(lambda: self.cluster.node_state(host) == "ready", timeout=90)
        self.settle()


def addresses(host: Host) -> set[str]:
    found = _in_network(host, "ip", "-json", "-4", "address", "show", "dev", "eth0")
    return {str(entry["local"]) for link in json.loads(found) for entry in link["addr_info"]}


def standing(host: Host) -> str:
    file = host.data / "run/appliance/vips/entry"
    return file.read_text().strip() if file.exists() else ""


def drop(host: Host, others: Sequence[Host], *, add: bool = True) -> None:
    """From now on (or no more) this host hears nothing of what the others send to it."""
    for other in others:
        change = ("-I", "INPUT", "1") if add else ("-D", "INPUT")
        _in_network(host, "iptables", "--wait", "5", *change, "-s", other.address, "-j", "DROP")


def _in_network(host: Host, *command: str) -> str:
    """From outside, so that it costs the host itself nothing."""
    entering = ("ip", "netns", "exec", host.namespace)
    return subprocess.run([*entering, *command], check=True, capture_output=True, text=True, timeout=20).stdout
