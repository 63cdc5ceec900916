"""The leading manager's host dies: how long somebody at work by the cluster's address cannot read, and cannot write."""

import os
import time
from pathlib import Path

from tests.bench import figures
from tests.bench.figures import Figure
from tests.chaos.client import Client, Unanswered
from tests.lab.cluster import Cluster, up
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.people import AtWork
from tests.lab.waiting import eventually

DEATHS = int(os.environ.get("BENCH_DEATHS", "10"))
MEDIAN, WORST = 3.0, 8.0
"""Aims, in seconds."""


def takeover(package: Path, _: int) -> list[Figure]:
    with Lab(package=package) as lab:
        trio = Trio(lab)
        found: dict[str, list[float]] = {"read": [], "write": []}
        for _death in range(DEATHS):
            leader = trio.leader()
            with AtWork(trio.person, trio.address, trio.password, "a1") as person:
                moment = trio.kill(leader)
                for kind, gaps in found.items():
                    gaps.append(person.gap(kind, moment))
            trio.back(leader)
    rows = []
    for kind, gaps in found.items():
        rows.append(figures.seconds(f"leader's host dies: until the next {kind}", gaps, MEDIAN))
        rows.append(Figure(f"… the longest of {len(gaps)}", round(max(gaps), 2), "s", WORST))
    return rows


class Trio:
    """Three managers with an address of their own, an agent, and a person's host beside them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.address = lab.gateway.rpartition(".")[0] + ".199"
        self.cluster = Cluster(lab)
        self.managers = [lab.host(name) for name in ("m1", "m2", "m3")]
        self.cluster.hosts.append(self.managers[0])
        self.cluster.up = up(self.managers[0], "--vip", f"{self.address}/24")
        self.password = str(self.cluster.up["admin_password"])
        for host in self.managers[1:]:
            self.cluster.join(host, role="manager")
        self.cluster.join(lab.host("a1"))
        self.person = lab.host("c1")
        self.settle()

    def leader(self) -> Host:
        """The leading manager's host, by what any of them says."""
        name = eventually(
            lambda: next((row["node"] for row in self._rows() if row["leader"]), ""), timeout=60, every=0.5
        )
        return next(host for host in self.managers if host.name == name)

    def kill(self, host: Host) -> float:
        """Everything on a host at once; the kernel lives on in the lab, so the cable goes first. Returns the moment."""
        moment = time.time()
        self.lab.cut(host)
        host.power_off()
        return moment

    def back(self, host: Host) -> None:
        self.lab.reboot(host)
        host.start()
        self.settle()

    def settle(self) -> None:
        """Every manager answers and finds all members healthy, and each could hold the address again."""
        eventually(self._well, timeout=180, every=0.5)
        eventually(lambda: all(_standing(host) == "0" for host in self.managers), timeout=60, every=0.5)

    def _well(self) -> bool:
        return all(
            (rows := self._rows(host)) and len(rows) == 3 and all(row["etcd"] == "healthy" for row in rows)
            for host in self.managers
        )

    def _rows(self, host: Host | None = None) -> list[dict[str, object]]:
        for each in [host] if host else self.managers:
            try:
                rows: list[dict[str, object]] = Client(each.data / "run/appliance/admin.sock").get("/api/status")[
                    "managers"
                ]
                return rows
            except Unanswered:
                continue
        return []


def _standing(host: Host) -> str:
    file = host.data / "run/appliance/vips/manager"
    return file.read_text().strip() if file.exists() else ""
