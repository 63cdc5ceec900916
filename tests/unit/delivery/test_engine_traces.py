"""What our engine leaves in a host's firewall goes, what others put there stays. On a network namespace of its own."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.host.layout import Layout

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(shutil.which(program) for program in ("iptables", "ip6tables", "nft", "nsenter")),
    reason="needs root, iptables, nft and network namespaces",
)

_TRACES = """
import sys
from pathlib import Path
from appliance.delivery import engine_traces
from appliance.delivery.runtime import EngineRuntime
from appliance.host.layout import Layout
action, root, home = sys.argv[1:]
layout, runtime = Layout(Path(root)), EngineRuntime(Path(home))
engine_traces.remember(layout, runtime) if action == "remember" else engine_traces.remove(layout, runtime, "appliance0")
"""


class Host:
    """A network namespace, a root, and a runtime whose programs are this machine's."""

    def __init__(self, folder: Path) -> None:
        self.name = f"traces-{os.getpid()}"
        self.layout = Layout(folder / "root")
        self._runtime = folder / "runtime"
        (self._runtime / "bin").mkdir(parents=True)
        for program in ("iptables", "ip6tables", "nft"):
            found = shutil.which(program)
            assert found
            # A link would change what xtables-nft-multi believes it is called.
            script = self._runtime / "bin" / program
            script.write_text(f'#!/bin/sh\nunset XTABLES_LIBDIR\nexec {found} "$@"\n')
            script.chmod(0o755)

    def run(self, *command: str) -> str:
        entering = ["nsenter", f"--net=/run/netns/{self.name}", *command]
        return subprocess.run(entering, check=True, capture_output=True, text=True, timeout=60).stdout

    def traces(self, action: str) -> None:
        self.run(sys.executable, "-c", _TRACES, action, str(self.layout.root), str(self._runtime))

    def rules(self, *commands: str) -> None:
        for command in commands:
            self.run(*command.split())

    def ruleset(self) -> str:
        return self.run("nft", "list", "ruleset")

    def forwarding(self) -> str:
        return self.run("cat", "/proc/sys/net/ipv4/ip_forward").strip()

    def engine_starts(self) -> None:
        """What Docker 26 and our own bridge put into the firewall."""
        self.rules(
            "sysctl -q -w net.ipv4.ip_forward=1",
            "iptables -P FORWARD DROP",
            *(f"iptables -N {chain}" for chain in ("DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-USER")),
            "iptables -A FORWARD -j DOCKER-USER",
            "iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1",
            "iptables -A FORWARD -o appliance0 -j DOCKER",
            "iptables -A FORWARD -i appliance0 ! -o appliance0 -j ACCEPT",
            "iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN",
            "iptables -A DOCKER-USER -j RETURN",
            "iptables -t nat -N DOCKER",
            "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            "iptables -t nat -A POSTROUTING -s 10.99.1.0/24 ! -o appliance0 -j MASQUERADE",
            "iptables -t nat -A DOCKER -i appliance0 -j RETURN",
            "ip6tables -N DOCKER",
            "ip6tables -A FORWARD -j DOCKER",
        )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    subprocess.run(["ip", "netns", "add", host.name], check=True)
    try:
        yield host
    finally:
        subprocess.run(["ip", "netns", "del", host.name], check=True)


def test_a_host_without_a_firewall_is_as_before(host: Host) -> None:
    assert (host.ruleset(), host.forwarding()) == ("", "0")
    host.traces("remember")
    host.engine_starts()
    assert "DOCKER" in host.ruleset()
    host.traces("remove")
    assert (host.ruleset(), host.forwarding()) == ("", "0")


def test_rules_of_others_and_their_policy_stay(host: Host) -> None:
    host.rules(
        "sysctl -q -w net.ipv4.ip_forward=1",
        "iptables -P FORWARD DROP",
        "iptables -N MINE",
        "iptables -A FORWARD -i eth7 -j MINE",
        "iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
        "iptables -t nat -A POSTROUTING -o eth7 -j MASQUERADE",
        "nft add table inet mine",
        "nft add chain inet mine empty",
    )
    for said in ("not for DOCKER or appliance0", "DOCKER"):
        host.run("iptables", "-A", "MINE", "-m", "comment", "--comment", said, "-j", "DROP")
    before = host.run("iptables", "-S"), host.run("iptables", "-t", "nat", "-S")
    host.traces("remember")
    host.engine_starts()
    host.traces("remove")
    assert (host.run("iptables", "-S"), host.run("iptables", "-t", "nat", "-S")) == before
    assert "table inet mine" in host.ruleset() and host.forwarding() == "1"


def test_our_rules_go_whatever_is_written_beside_them(host: Host) -> None:
    host.traces("remember")
    host.engine_starts()
    said = ("-m", "comment", "--comment", "a person's own words")
    host.run("iptables", "-A", "FORWARD", "-i", "appliance0", *said, "-j", "ACCEPT")
    host.traces("remove")
    assert host.ruleset() == ""


def test_it_may_be_repeated_and_is_finished_after_a_kill(host: Host) -> None:
    host.traces("remember")
    host.engine_starts()
    kept = host.layout.before_file.read_bytes()
    host.rules("iptables -F")
    host.traces("remove")
    host.layout.before_file.write_bytes(kept)
    host.traces("remove")
    assert host.ruleset() == "" and not host.layout.before_file.exists()


def test_what_was_before_is_remembered_from_the_first_start(host: Host) -> None:
    host.traces("remember")
    host.engine_starts()
    host.traces("remember")
    before = json.loads(host.layout.before_file.read_text())
    assert (before["forwarding"], before["policies"]["iptables"]) == ("0", "ACCEPT")


def test_a_host_whose_engine_never_started_is_left_alone(host: Host) -> None:
    host.engine_starts()
    before = host.ruleset()
    host.traces("remove")
    assert host.ruleset() == before


def test_what_is_mounted_below_the_engine_is_unmounted_deepest_first(host: Host) -> None:
    data = host.layout.engine_data
    beside = host.layout.var / "engine-not"
    for folder in (data, beside):
        folder.mkdir(parents=True)
        mount(folder)
    (data / "a b").mkdir()
    mount(data / "a b")
    try:
        host.traces("remove")
        mounted = Path("/proc/self/mounts").read_text()
        assert f"{data}/" not in mounted and f" {beside} " in mounted
    finally:
        for folder in (data / "a b", data, beside):
            ctypes.CDLL(None).umount2(os.fsencode(folder), 0)


def mount(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
