"""The faults: what may happen to a host of a machine room, each with its end.

A fault is chosen by the seed alone, so that a run can be repeated; how long things take is the machine's.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.clock import DAY
from tests.lab.host import Host
from tests.lab.lab import Lab

PROCESSES = ("manager", "agent", "etcd", "engine")
SHARE_LOST = 0.3
SLOW = "256kbit"
MOST_DAYS = 370
LEASE = 10.0
"""Seconds of a leader's lease: some pauses are longer."""


@dataclass(frozen=True)
class Fault:
    """`kind` happens to `target` for `seconds`; `of` is the other side of a one-sided cut, "" : all; `days`: by how
    many a clock is ahead."""

    kind: str
    target: str
    seconds: float
    of: str = ""
    days: float = 0.0

    def __str__(self) -> str:
        more = f" (of {self.of})" if self.of else f" ({self.days:+g} days)" if self.days else ""
        return f"{self.kind} {self.target}{more} {self.seconds:g} s"


def choose(chance: random.Random, managers: Sequence[str], agents: Sequence[str]) -> list[Fault]:
    """One fault, or now and then two at once. Pure but for `chance`."""
    return [_choose(chance, managers, agents) for _ in range(chance.choice((1, 1, 1, 2)))]


def _choose(chance: random.Random, managers: Sequence[str], agents: Sequence[str]) -> Fault:
    everybody = [*managers, *agents]
    kind = chance.choice(KINDS)
    target = chance.choice(managers if kind in OF_MANAGERS else everybody)
    of = (
        chance.choice([name for name in everybody if name != target])
        if kind == "deaf" and chance.random() < 0.5
        else ""
    )
    longest = LEASE * 1.6 if kind.startswith("stop") else 8.0
    days = round(chance.uniform(-MOST_DAYS, MOST_DAYS), 1) if kind == "clock" else 0.0
    return Fault(kind, target, round(chance.uniform(1.0, longest), 1), of, days)


class Faults:
    """Makes faults on the hosts of a lab. `full` is a small file system of each manager below etcd's data."""

    def __init__(self, lab: Lab, hosts: Sequence[Host], full: Callable[[Host], Path]) -> None:
        self._lab = lab
        self._hosts = {host.name: host for host in hosts}
        self._full = full

    def happen(self, faults: Sequence[Fault]) -> None:
        """Begin them all, and end each after its time."""
        ends = sorted(((fault.seconds, self._begin(fault)) for fault in faults), key=lambda each: each[0])
        begun = time.monotonic()
        for seconds, end in ends:
            time.sleep(max(0.0, begun + seconds - time.monotonic()))
            end()

    def _begin(self, fault: Fault) -> Callable[[], None]:
        host = self._hosts[fault.target]
        verb, _, what = fault.kind.partition(" ")
        match verb:
            case "kill":
                _signal(host, what, signal.SIGKILL)
                return _nothing
            case "stop":
                stopped = _signal(host, what, signal.SIGSTOP)
                return lambda: _continue(stopped)
            case "power":
                self._lab.cut(host)  # the kernel lives on in the lab, so the cable goes first
                host.power_off()
                return lambda: self._switch_on(host)
            case "cut":
                self._lab.cut(host)
                return lambda: self._lab.heal(host)
            case "deaf":
                others = [self._hosts[fault.of]] if fault.of else [h for h in self._hosts.values() if h is not host]
                return _rules(host, [("-s", other.address, "-j", "DROP") for other in others])
            case "lossy":
                share = ("-m", "statistic", "--mode", "random", "--probability", str(SHARE_LOST))
                return _rules(host, [("-i", "eth0", *share, "-j", "DROP")])
            case "slow":
                return _slow(host)
            case "clock":
                host.clock.set_ahead(fault.days * DAY)
                return lambda: host.clock.set_ahead(0.0)
            case _:
                return self._fill(host)

    def _switch_on(self, host: Host) -> None:
        self._lab.reboot(host)
        host.start()

    def _fill(self, host: Host) -> Callable[[], None]:
        filler = self._full(host) / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
        return lambda: filler.unlink(missing_ok=True)


KINDS = (
    *(f"kill {process}" for process in PROCESSES),
    *(f"stop {process}" for process in ("manager", "agent", "etcd")),
    "power",
    "cut",
    "deaf",
    "lossy",
    "slow",
    "clock",
    "full",
)
OF_MANAGERS = ("kill manager", "kill etcd", "stop manager", "stop etcd", "full")
"""Kinds that only a manager's host can suffer."""


def processes(host: Host, what: str) -> list[int]:
    """Numbers on this machine of the host's processes of one kind (`PROCESSES`)."""
    return [pid for pid in sorted(host.pids()) if _is(pid, what)]


def _is(pid: int, what: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    if what in ("manager", "agent"):
        return "role" in words and words[words.index("role") + 1 :][:1] == [what]
    names = {"etcd": "etcd", "engine": "dockerd"}
    return Path(words[0]).name == names[what] or (len(words) > 1 and words[1].endswith(f"/{names[what]}"))


def _signal(host: Host, what: str, number: signal.Signals) -> list[int]:
    found = processes(host, what)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return found


def _continue(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _rules(host: Host, rules: Sequence[Sequence[str]]) -> Callable[[], None]:
    for rule in rules:
        _inside(host, "iptables", "--wait", "5", "-I", "INPUT", "1", *rule)

    def end() -> None:
        for rule in rules:
            _inside(host, "iptables", "--wait", "5", "-D", "INPUT", *rule)

    return end


def _slow(host: Host) -> Callable[[], None]:
    shape = ("root", "tbf", "rate", SLOW, "burst", "16kb", "latency", "400ms")
    _inside(host, "tc", "qdisc", "replace", "dev", "eth0", *shape)
    return lambda: _inside(host, "tc", "qdisc", "del", "dev", "eth0", "root")


def _inside(host: Host, *command: str) -> None:
    """In the host's network, from outside of it."""
    result = subprocess.run(["ip", "netns", "exec", host.namespace, *command], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} on {host.name}: {result.stderr}")


def _nothing() -> None:
    return None
