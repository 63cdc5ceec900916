"""The lab itself: hosts see each other, power cuts are complete, nothing is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clock import DAY
from tests.lab.engine import Engine
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dockerd"), reason="needs root and docker.io"),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.host("one")
        lab.host("two", bare=True)
        yield lab


def test_hosts_reach_each_other_until_the_cable_is_pulled(lab: Lab) -> None:
    one, two = lab.hosts
    assert _answers(one, two)
    lab.cut(two)
    assert not _answers(one, two)
    lab.heal(two)
    eventually(lambda: _answers(one, two), timeout=5)


def test_a_host_has_no_way_out(lab: Lab) -> None:
    assert lab.hosts[0].run("ip", "route", "show", "default").stdout == ""


def test_a_bare_host_has_busybox_and_nothing_else(lab: Lab) -> None:
    assert lab.hosts[1].run("sh", "-c", "ls /usr /lib /bin/bash /bin/xz 2>&1", check=False).stdout.count("No such") == 4


def test_a_power_cut_ends_every_process_and_keeps_the_disk(lab: Lab) -> None:
    host = lab.host("three")
    engine = Engine(host)
    engine.start()
    engine.docker("run", "-d", "--name", "kept", "busybox:lab")
    before = host.pids()
    assert len(before) >= 4
    lab.reboot(host)
    assert host.pids() == set()
    assert [Path(f"/proc/{pid}/status").read_text() for pid in before if Path(f"/proc/{pid}").exists()] == []
    engine.start()
    assert engine.docker("ps", "-a", "--format", "{{.Names}}") == "kept"


def test_a_clock_of_its_own_is_seen_by_the_hosts_programs_and_by_nobody_else(lab: Lab) -> None:
    def year(host: Host) -> int:
        return int(host.run("date", "+%Y").stdout)

    host, now = lab.host("four", own_clock=True), year(lab.hosts[0])
    clock = "import time; print(*map(time.clock_gettime, (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC)))"
    host.clock.set_ahead(4000 * DAY)
    wall, steady = map(float, host.run(sys.executable, "-c", clock).stdout.split())
    assert (wall - time.time()) / DAY == pytest.approx(4000, abs=0.01)
    assert steady == pytest.approx(time.monotonic(), abs=60)
    assert year(lab.hosts[0]) == now < year(host)
    host.clock.set_ahead(0.0)
    assert year(host) == now


def test_the_next_lab_cleans_up_after_a_killed_one(tmp_path: Path) -> None:
    program = """
        import pathlib, sys, time
        from tests.lab.lab import Lab
        with Lab() as lab:
            lab.host("lost").spawn("sleep", "1000")
            pathlib.Path(sys.argv[1]).write_text(str(lab.directory))
            time.sleep(1000)
    """
    note = tmp_path / "note"
    lost = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(note)])
    directory = Path(eventually(lambda: note.read_text() if note.exists() else "", timeout=20))
    assert directory.exists()
    lost.send_signal(signal.SIGKILL)
    lost.wait()
    with Lab():
        # A lab of another test may have been the next one, and be at it.
        eventually(lambda: not directory.exists(), timeout=30)


def _answers(one: Host, other: Host) -> bool:
    ping = one.run("busybox", "ping", "-c1", "-W1", other.address, check=False)
    return ping.returncode == 0


def test_a_one_way_network_drops_and_counts_what_a_host_begins() -> None:
    with Lab() as lab:
        inside, outside = lab.host("inside"), lab.host("outside")
        lab.forbid(inside, outside)
        assert not _answers(inside, outside)
        assert lab.dropped() == {"inside": 1}
        assert _answers(outside, inside)
        lab.reboot(inside)
        assert not _answers(inside, outside)
        assert lab.dropped() == {"inside": 2}


def test_behind_a_router_that_hides_a_host_its_callers_pings_are_dropped_and_not_counted() -> None:
    with Lab() as lab:
        caller, hidden = lab.host("caller"), lab.host("hidden")
        lab.forbid(caller, hidden, echoes=False)
        assert not _answers(caller, hidden)
        assert lab.dropped() == {"caller": 0}
        assert caller.run("busybox", "nc", "-w", "1", hidden.address, "80", check=False).returncode
        assert lab.dropped()["caller"] >= 1
