"""How soon all pairs of instances reach each other again, by address and by name, after somebody did harm to a node."""

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.figures import Figure
from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.mesh import Mesh, kill_engine, readdress, reboot

AIM = 10.0


def healing(package: Path, rounds: int) -> list[Figure]:
    """Five nodes. A reboot is counted from the start of `appliance run`, as the host's init does it."""
    with Lab(package=package) as lab:
        cluster = Cluster(lab)
        cluster.start(lab.host("m1"))
        for name in ("a1", "a2", "a3", "a4"):
            cluster.join(lab.host(name))
        mesh = Mesh(cluster)
        return [_figure(mesh, what, harm, rounds) for what, harm in harms(cluster).items()]


def harms(cluster: Cluster) -> dict[str, Callable[[], object]]:
    manager, agent = cluster.hosts[0], cluster.hosts[1]
    addresses = iter(range(100, 250))
    return {
        "`iptables -F` on a node": lambda: agent.run("iptables", "-F"),
        "`iptables -t nat -F` on a node": lambda: agent.run("iptables", "-t", "nat", "-F"),
        "`nft flush ruleset` on a node": lambda: cluster.lab.flush_rules(agent),
        "`ip link del flannel.1` on a node": lambda: agent.run("ip", "link", "del", "flannel.1"),
        "`kill -9` of a node's engine": lambda: kill_engine(agent),
        "reboot of an agent": lambda: reboot(cluster, agent),
        "reboot of the manager": lambda: reboot(cluster, manager),
        "`node set-address` of an agent": lambda: readdress(cluster, agent, next(addresses)),
        "`node set-address` of the manager": lambda: readdress(cluster, manager, next(addresses)),
    }


def _figure(mesh: Mesh, what: str, harm: Callable[[], object], rounds: int) -> Figure:
    """The worst of the rounds: what is promised is promised for each."""
    taken = []
    for _ in range(rounds):
        taken.append(mesh.heal(harm))
        print(f"  {what}: whole again after {taken[-1]:.2f} s", file=sys.stderr)
    note = f"the worst of {rounds}; median {statistics.median(taken):.1f}, best {min(taken):.1f}"
    return Figure(what, round(max(taken), 1), "s", AIM, note)
