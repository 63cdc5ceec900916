"""Several hosts on one machine, wired to a switch of their own; nothing touches the machine's real network.

A lab takes a free slot x: its addresses are 10.77.x.0/24 and all its names begin with `labx-`. The slot is a lock
file held open for the life of the lab, so a lab whose test was killed is recognised by its free lock and is cleaned
up by the next one, whatever process numbers have been given out since.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import one_way
from tests.lab.cgroups import Cgroup
from tests.lab.clock import Clock
from tests.lab.host import Host

_LOCKS = Path("/run/appliance-lab")
_SLOTS = 250
_SILENT_REGISTRY = "203.0.113.1"  # TEST-NET-3: the switch takes packets to it and forwards none


alive: list["Lab"] = []
"""The labs of this process that have been made and not left."""


class Lab:
    """Context manager; on leaving it, everything it made is gone unless `keep` is set (for looking at a failure)."""

    def __init__(
        self, *, package: Path | None = None, keep: bool = False, dial: str = "agent", agent_package: Path | None = None
    ) -> None:
        """`package`: the product's file, which each host that is added gets; `agent_package`: another one for hosts
        that join as agents. `dial`: how clusters here are joined."""
        self.hosts: list[Host] = []
        self.keep = keep
        self.dial = dial
        self.agent_package = agent_package
        self._package = package
        self._forbid: dict[str, Callable[..., None]] = {}
        self._dropped: dict[str, int] = {}
        self._uplinks: dict[str, str] = {}

    def __enter__(self) -> Self:
        clean_leftovers()
        self._slot, self._lock = _take_slot()
        # Short: the path of a unix socket below a host's root may have 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix=f"lab{self._slot}-", dir="/var/tmp"))
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(self.directory).encode(), 0)
        _clear_slot(self._slot, None)
        self._switch = f"lab{self._slot}-switch"
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", self._switch, "address", "add", f"{self.gateway}/24", "dev", "br0")
        _ip("-n", self._switch, "link", "set", "br0", "up")
        alive.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        alive.remove(self)
        if self.keep:
            return  # the lock goes with this process, and the next lab cleans up
        for host in self.hosts:
            host.power_off()
        _clear_slot(self._slot, self.directory)
        os.ftruncate(self._lock, 0)
        os.close(self._lock)

    @property
    def gateway(self) -> str:
        """The switch's own address. It answers pings and forwards nothing."""
        return f"10.77.{self._slot}.1"

    def host(
        self,
        name: str,
        *,
        default_route: bool = False,
        silent_registry: bool = False,
        bare: bool = False,
        own_clock: bool = False,
    ) -> Host:
        """Add a host and switch it on.

        `default_route`: through the gateway, which drops everything; without it the host knows only its own network.
        `silent_registry`: Docker's registry resolves to an address that never answers (needs the default route).
        `bare`: its file system holds busybox and nothing else.
        `own_clock`: `Host.clock` can be set; for a host that is not bare.
        """
        host = Host(
            name=name,
            namespace=f"lab{self._slot}-{name}",
            address=f"10.77.{self._slot}.{11 + len(self._uplinks)}",
            directory=self.directory / name,
            cgroup=Cgroup(f"{self._slot}/{name}"),
            bare=bare,
        )
        self._uplinks[name] = self.gateway if default_route or silent_registry else ""
        host.directory.mkdir()
        registry = (
            f"{_SILENT_REGISTRY} registry-1.docker.io auth.docker.io index.docker.io\n" if silent_registry else ""
        )
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {name}\n{registry}"
        (host.directory / "hosts").write_text(hosts)
        (host.directory / "resolv.conf").write_text("")
        if own_clock:
            host.clock = Clock(host.directory)
        self._plug_in(host)
        host.power_on()
        if self._package:
            (host.data / "appliance").hardlink_to(self._copied(self._package))
        self.hosts.append(host)
        return host

    def remove(self, host: Host) -> None:
        """Take a host out of the lab for good, with its disk."""
        host.power_off()
        self._unplug(host)
        self.hosts.remove(host)
        shutil.rmtree(host.directory)

    def copy_logs(self, folder: Path) -> None:
        """The product's logs of all hosts, one folder each, for whoever wants to know what went wrong."""
        for host in self.hosts:
            for log in (host.data / "var/log/appliance").glob("*.log"):
                (folder / host.name).mkdir(parents=True, exist_ok=True)
                shutil.copy2(log, folder / host.name)

    def cut(self, host: Host) -> None:
        """Pull the host's network cable."""
        _ip("-n", self._switch, "link", "set", "dev", host.name, "down")

    def heal(self, host: Host) -> None:
        _ip("-n", self._switch, "link", "set", "dev", host.name, "up")

    def give_address(self, host: Host, last: int) -> str:
        """Give the host one more address in the lab's network, whose last number is `last`; returns it."""
        address = f"10.77.{self._slot}.{last}"
        _ip("-n", host.namespace, "address", "add", f"{address}/24", "dev", "eth0")
        return address

    def move(self, host: Host, address: str) -> None:
        """Take away the host's first address; `address`, which it has already, is its only one from here on."""
        promote = "echo 1 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries"
        _ip("netns", "exec", host.namespace, "sh", "-c", promote)
        _ip("-n", host.namespace, "address", "del", f"{host.address}/24", "dev", "eth0")
        host.address = address

    def forbid(self, host: Host, towards: Host, *, echoes: bool = True) -> None:
        """Make the way between them one-way, also after a reboot: `towards` may begin to talk to `host` only.

        To be called before the product runs on `host`: Debian's nft crashes when it meets the product's own table. So
        an address that `towards` moves to later is not guarded. `echoes`: pings are counted too, not only dropped.
        """
        self._forbid[host.name] = partial(one_way.forbid, host.namespace, (towards.address,), echoes=echoes)
        self._forbid[host.name]()

    def flush_rules(self, host: Host) -> None:
        """`nft flush ruleset`, as a firewall reload does; only what makes a network one-way comes back at once."""
        if host.name not in self._forbid:
            host.run("nft", "flush", "ruleset")
            return
        self._remember_dropped(host)
        self._forbid[host.name](alone=True)

    def dropped(self) -> dict[str, int]:
        """Host → packets by which it tried to go the forbidden way."""
        now = {host.name: one_way.dropped(host.namespace) for host in self.hosts if host.name in self._forbid}
        return {name: self._dropped.get(name, 0) + now.get(name, 0) for name in self._forbid}

    def narrow(self, host: Host, mtu: int) -> None:
        """Let the switch pass no larger packets to and from a host, which does not know of it."""
        _ip("-n", self._switch, "link", "set", "dev", host.name, "mtu", str(mtu))

    def reboot(self, host: Host) -> None:
        """Power off and on: no process, mount, interface, rule or cgroup survives; the disk does. Starts nothing."""
        host.power_off()
        self._unplug(host)
        self._plug_in(host)
        host.power_on()

    def _copied(self, package: Path) -> Path:
        """One copy for all hosts of the lab: a fifth of a gigabyte each would keep the disk from the stores."""
        copy = self.directory / "appliance"
        if not copy.exists():
            subprocess.run(["cp", "--reflink=auto", package, copy], check=True)
            copy.chmod(0o755)
        return copy

    def _plug_in(self, host: Host) -> None:
        _ip("netns", "add", host.namespace)
        link = ("link", "add", "name", host.name, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        _ip("-n", self._switch, *link)
        _ip("-n", self._switch, "link", "set", "dev", host.name, "master", "br0", "up")
        _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", host.namespace, "link", "set", "eth0", "up")
        if uplink := self._uplinks[host.name]:
            _ip("-n", host.namespace, "route", "add", "default", "via", uplink)
        if forbid := self._forbid.get(host.name):
            forbid()

    def _unplug(self, host: Host) -> None:
        if host.name in self._forbid:
            self._remember_dropped(host)
        _ip("-n", self._switch, "link", "del", "dev", host.name)
        _ip("netns", "del", host.namespace)

    def _remember_dropped(self, host: Host) -> None:
        """To be called before its counters go."""
        self._dropped[host.name] = self._dropped.get(host.name, 0) + one_way.dropped(host.namespace)


def clean_leftovers() -> None:
    """Remove what labs left whose process has died. Labs that are alive hold their lock and are not touched."""
    for path in _LOCKS.glob("*.lock"):
        lock = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if directory := os.pread(lock, 4096, 0).decode():
                _clear_slot(int(path.stem), Path(directory))
                os.ftruncate(lock, 0)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _take_slot() -> tuple[int, int]:
    """A free slot and the open lock that keeps it."""
    _LOCKS.mkdir(exist_ok=True)
    for slot in range(_SLOTS):
        lock = os.open(_LOCKS / f"{slot}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return slot, lock
        except BlockingIOError:
            os.close(lock)
    raise RuntimeError(f"all {_SLOTS} lab slots are in use")


def _clear_slot(slot: int, directory: Path | None) -> None:
    Cgroup(str(slot)).kill()
    for namespace in Path("/run/netns").glob(f"lab{slot}-*"):
        _ip("netns", "del", namespace.name)
    if directory:
        shutil.rmtree(directory, ignore_errors=True)


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {result.stderr}")
