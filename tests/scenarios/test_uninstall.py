"""`stop`, `down` and `uninstall`: each ends exactly what it says; after the last one the host is as before."""

from dataclasses import dataclass

import pytest

from tests.lab.cluster import Cluster, running, up
from tests.lab.host import Host
from tests.lab.waiting import eventually

# Other labs' mounts are seen on every host, and their clusters keep the shared runtime from being removed.
pytestmark = pytest.mark.alone


@dataclass(frozen=True)
class Fingerprint:
    """What a host is made of, as far as the product might change it."""

    mounts: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    rules: str
    settings: frozenset[str]

    @classmethod
    def of(cls, host: Host) -> "Fingerprint":
        def lines(*command: str) -> frozenset[str]:
            return frozenset(host.run(*command).stdout.splitlines())

        return cls(
            mounts=lines("awk", "{print $5}", "/proc/self/mountinfo"),
            links=frozenset(path.strip() for path in lines("ls", "/sys/class/net")),
            routes=lines("ip", "route"),
            rules=host.run("nft", "list", "ruleset").stdout,
            settings=lines("sh", "-c", f"grep -rs '' /proc/sys/net | grep -vE '{_COUNTED}'"),
        )


_COUNTED = (
    "nf_conntrack_count|fib_info|/route/gc_|random|tcp_fastopen_key|stable_secret|lockd|nf_conntrack_(max|buckets)"
)
"""Below /proc/sys/net: what the kernel counts, invents for itself, or shares between all hosts of the machine."""


def test_stop_ends_our_processes_and_no_container(one_node: Cluster) -> None:
    host = one_node.manager
    containers = running([host], "system")
    assert containers
    host.appliance("stop", timeout=60)
    assert running([host], "system") == containers


def test_up_after_stop_carries_on(one_node: Cluster) -> None:
    host = one_node.manager
    containers = running([host], "system")
    up(host)
    assert running([host], "system") == containers
    assert host.ask("status")["cluster"]["state"] == "healthy"


def test_down_ends_everything_and_keeps_the_data(one_node: Cluster) -> None:
    host = one_node.manager
    identity = host.ask("status")["cluster"]["id"]
    host.appliance("down", "--yes", timeout=120)
    eventually(lambda: not host.pids(), timeout=10)
    up(host)
    assert host.ask("status")["cluster"]["id"] == identity


def test_uninstall_keeps_data_and_keys_so_that_up_brings_the_cluster_back(one_node: Cluster) -> None:
    host = one_node.manager
    identity = host.ask("status")["cluster"]["id"]
    host.appliance("uninstall", "--yes", timeout=120)
    eventually(lambda: not host.pids(), timeout=10)
    up(host)
    assert host.ask("status")["cluster"]["id"] == identity


def test_uninstall_leaves_the_host_as_it_was(one_node: Cluster) -> None:
    host = one_node.lab.host("clean")
    before = Fingerprint.of(host)
    up(host)
    host.appliance("uninstall", "--purge", "--yes", timeout=120)
    eventually(lambda: not host.pids(), timeout=10)
    assert Fingerprint.of(host) == before
    left = [path for path in host.root.rglob("*") if path.is_file() and path != host.root / "appliance"]
    assert left == []


def test_uninstall_may_be_repeated(one_node: Cluster) -> None:
    host = one_node.manager
    host.appliance("uninstall", "--purge", "--yes", timeout=120)
    host.appliance("uninstall", "--purge", "--yes", timeout=60)
    assert host.pids() == set()
