"""Is this host fit? Every check says what it found, what that means and what to do; each can be waived by name.

A waiver needs a reason, which is kept in the installation's journal. The manual has one section per check.
"""

import ipaddress
import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.errors import PreflightRefused, UsageError
from appliance.host import facts, interfaces, netfilter
from appliance.host.clock import time_daemon
from appliance.host.layout import Layout
from appliance.model.cluster import ETCD_CLIENT_PORT, ETCD_PEER_PORT, HTTPS_PORT, LINK_PORT, OVERLAY_PORT, REGISTRY_PORT

Outcome = Literal["ok", "warning", "failed", "waived"]

DISK_ROOM = {"manager": 4 * 1024**3, "agent": 2 * 1024**3}
MEMORY = {"manager": 1024**3, "agent": 512 * 1024**2}
FSYNC_WARN, FSYNC_FAIL = 0.05, 0.15
"""Seconds for one small synced write (99th percentile); etcd loses its leader on slower disks."""
EARLIEST_CLOCK = 1_764_000_000
"""No host that runs this release can rightly have an earlier clock (2025-11-24)."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. `next` is the remedy, empty when nothing is wrong."""

    name: str
    outcome: Outcome
    found: str
    next: str = ""


@dataclass(frozen=True)
class Host:
    """What the checks look at. `role` is the heavier of the node's roles."""

    layout: Layout
    role: Literal["manager", "agent"]
    network: str | None
    own_engine: bool


def examine(host: Host, waivers: dict[str, str]) -> list[Finding]:
    """Run every check; a waived one is run, and its failure does not count. Raises UsageError for an unknown waiver."""
    unknown = set(waivers) - set(CHECKS)
    if unknown:
        raise UsageError(
            f"There is no check called {', '.join(sorted(unknown))}.",
            why=f"the checks are {', '.join(CHECKS)}",
            next="waive one of those: --waive NAME=REASON",
        )
    findings = []
    for name, check in CHECKS.items():
        finding = check(host)
        if finding.outcome == "failed" and name in waivers:
            finding = Finding(name, "waived", finding.found, f"waived: {waivers[name]}")
        findings.append(finding)
    return findings


def insist(findings: list[Finding]) -> None:
    """Raise PreflightRefused when a check failed and was not waived."""
    failed = [f for f in findings if f.outcome == "failed"]
    if failed:
        names = ", ".join(f.name for f in failed)
        raise PreflightRefused(
            f"This host is not fit yet: {names}. Nothing was changed.",
            where=socket.gethostname(),
            why="\n    ".join(f"{f.name}: {f.found}; {f.next}" for f in failed),
            next=f"put it right, or waive a check with a reason: --waive {failed[0].name}='REASON'",
            page="preflight",
        )


def _kernel(host: Host) -> Finding:
    release = os.uname().release
    major, minor = (int("".join(c for c in part if c.isdigit()) or 0) for part in release.split(".")[:2])
    if (major, minor) < (4, 18):
        return Finding("kernel", "failed", f"Linux {release}", "4.18 or newer is needed: update the host's kernel")
    missing = [name for name in ("overlay",) if not _filesystem_known(name)] if host.own_engine else []
    if missing:
        return Finding("kernel", "failed", f"no {', '.join(missing)} file system", "load it: modprobe overlay")
    return Finding("kernel", "ok", f"Linux {release}")


def _filesystem_known(name: str) -> bool:
    known = Path("/proc/filesystems").read_text().split()
    modules = Path(f"/lib/modules/{os.uname().release}")
    return name in known or any(modules.glob(f"kernel/fs/*/{name}.ko*"))


def _cgroups(_: Host) -> Finding:
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    kinds = {fields[2] for fields in lines}
    if "cgroup" in kinds:
        controllers = {option for fields in lines if fields[2] == "cgroup" for option in fields[3].split(",")}
        missing = {"cpu", "memory", "devices", "freezer"} - controllers
        if missing:
            return Finding(
                "cgroups", "failed", f"version 1 without {', '.join(sorted(missing))}", "mount them (man 7 cgroups)"
            )
        return Finding("cgroups", "ok", "version 1")
    if "cgroup2" in kinds:
        return Finding("cgroups", "ok", "version 2")
    return Finding("cgroups", "failed", "not mounted", "mount -t cgroup2 none /sys/fs/cgroup")


def _ports(host: Host) -> Finding:
    if host.layout.node_file.exists():
        return Finding("ports", "ok", "in use by this installation")
    wanted = [HTTPS_PORT, LINK_PORT, ETCD_CLIENT_PORT, ETCD_PEER_PORT] if host.role == "manager" else []
    taken = [str(port) for port in [*wanted, REGISTRY_PORT] if not _port_free(port)]
    if taken:
        text = ", ".join(taken)
        return Finding("ports", "failed", f"taken: {text}", f"find who listens (ss -ltnp) and free port {text}")
    if not _port_free(OVERLAY_PORT, socket.SOCK_DGRAM):
        remedy = "find whose it is (ss -lunp, ip -d link show type vxlan) and take that away"
        return Finding("ports", "failed", f"taken: {OVERLAY_PORT}/udp, which the overlay needs", remedy)
    return Finding("ports", "ok", "free")


def _port_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    with socket.socket(type=kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def _disk_room(host: Host) -> Finding:
    found = os.statvfs(_existing(host.layout.var))
    room, needed = found.f_bavail * found.f_frsize, DISK_ROOM[host.role]
    text = f"{room / 1024**3:.1f} GiB free below {host.layout.var}"
    if room < needed:
        return Finding("disk-room", "failed", text, f"make {needed // 1024**3} GiB of room, or choose another --root")
    return Finding("disk-room", "ok", text)


def _disk_latency(host: Host) -> Finding:
    times = []
    with tempfile.TemporaryFile(dir=_existing(host.layout.var)) as file:
        for _ in range(20):
            begun = time.monotonic()
            file.write(b"x" * 2300)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - begun)
    worst = sorted(times)[-2]
    text = f"{worst * 1000:.1f} ms for a synced write"
    if worst > FSYNC_FAIL and host.role == "manager":
        return Finding("disk-latency", "failed", text, "use a local SSD, or take the load off this disk")
    if worst > FSYNC_WARN:
        return Finding("disk-latency", "warning", text, "etcd wants less than 50 ms: use a local SSD for a manager")
    return Finding("disk-latency", "ok", text)


def _memory(host: Host) -> Finding:
    total, needed = facts.memory_total(), MEMORY[host.role]
    text = f"{total / 1024**3:.1f} GiB, {facts.memory_available() / 1024**3:.1f} GiB available"
    if total < needed:
        return Finding("memory", "failed", text, f"a {host.role} needs {needed // 1024**2} MiB: add memory")
    return Finding("memory", "ok", text)


def _time(_: Host) -> Finding:
    now = time.time()
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < EARLIEST_CLOCK:
        return Finding("time", "failed", f"the clock says {text}", "set it: date -u -s 'YYYY-MM-DD HH:MM:SS'")
    daemon = time_daemon()
    return Finding("time", "ok", f"{text}, kept by {daemon}" if daemon else text)


def _networks(host: Host) -> Finding:
    if host.network is None or host.layout.node_file.exists():
        return Finding("networks", "ok", "given by the cluster")
    ours = ipaddress.IPv4Network(host.network)
    for interface, route in interfaces.routes():
        if route.overlaps(ours):
            return Finding(
                "networks",
                "failed",
                f"{ours} overlaps {route} on {interface}",
                "choose a free range of the same size with --network CIDR",
            )
    return Finding("networks", "ok", f"{ours} is free here")


def _nftables(_: Host) -> Finding:
    """Never a failure: the names of deploys lead to their instances without it."""
    if netfilter.generation() < 0:
        return Finding(
            "nftables",
            "warning",
            "the kernel has none",
            "stable addresses and isolation do not work on this node; names do: modprobe nf_tables",
        )
    return Finding("nftables", "ok", "there")


def _leftovers(host: Host) -> Finding:
    layout = host.layout
    if layout.node_file.exists():
        return Finding("leftovers", "ok", "this installation goes on")
    found = [path for path in (layout.var / "etcd", layout.volumes) if path.exists() and any(path.iterdir())]
    if found:
        text = ", ".join(map(str, found))
        return Finding(
            "leftovers",
            "failed",
            f"data of an earlier installation: {text}",
            f"if nobody wants it any more, remove {text}",
        )
    return Finding("leftovers", "ok", "none")


def _existing(path: Path) -> Path:
    """The nearest parent that exists: where the files are going to lie."""
    while not path.exists():
        path = path.parent
    return path


CHECKS: dict[str, Callable[[Host], Finding]] = {
    "kernel": _kernel,
    "cgroups": _cgroups,
    "ports": _ports,
    "disk-room": _disk_room,
    "disk-latency": _disk_latency,
    "memory": _memory,
    "time": _time,
    "networks": _networks,
    "nftables": _nftables,
    "leftovers": _leftovers,
}
