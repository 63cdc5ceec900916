"""Starting and ending `appliance run` without systemd; the release is a program of this test's."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.delivery import launch
from appliance.errors import ApplianceError
from appliance.host.layout import Layout
from appliance.host.process import read_pid_file
from tests.lab.waiting import eventually

_RUNS = """
import os, sys, time
from pathlib import Path
from appliance.host.layout import Layout
from appliance.host.process import write_pid_file
layout = Layout(Path(sys.argv[3]))
write_pid_file(layout.run_pid, os.getpid())
print("proxies:", [name for name in os.environ if "proxy" in name.lower()], sys.argv[1:3], flush=True)
time.sleep(600)
"""
_ENDS = """
print("the engine is missing")
raise SystemExit(1)
"""


def release(layout: Layout, text: str) -> None:
    program = layout.releases / "0/appliance"
    program.parent.mkdir(parents=True)
    source = Path(__file__).parents[3]
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(source)!r})\n{text}")
    program.chmod(0o755)
    layout.current.symlink_to(program.parent)


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path)
    yield layout
    launch.stop(layout)


def test_it_runs_until_it_is_stopped(layout: Layout) -> None:
    release(layout, _RUNS)
    assert not launch.running(layout)
    launch.start(layout)
    assert launch.running(layout)
    assert launch.stop(layout)
    assert not launch.running(layout)
    assert not launch.stop(layout), "nothing is running"


def test_what_runs_is_not_started_again(layout: Layout) -> None:
    release(layout, _RUNS)
    launch.start(layout)
    first = read_pid_file(layout.run_pid)
    launch.start(layout)
    assert first and read_pid_file(layout.run_pid) == first


def test_a_pid_file_of_before_a_reboot_is_nobody(layout: Layout) -> None:
    release(layout, _RUNS)
    layout.run_pid.parent.mkdir(parents=True)
    layout.run_pid.write_text("1 1\n")  # process 1 lives, and began at another time
    assert not launch.running(layout)
    launch.start(layout)
    assert launch.running(layout)


def test_a_persons_proxy_does_not_reach_it(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("no_proxy", "*")
    release(layout, _RUNS)
    launch.start(layout)
    log = layout.logs / "run.log"
    assert eventually(log.read_text, 30) == "proxies: [] ['run', '--root']\n"


def test_one_that_ends_at_once_is_reported_with_its_last_words(layout: Layout) -> None:
    release(layout, _ENDS)
    with pytest.raises(ApplianceError) as failed:
        launch.start(layout)
    assert failed.value.why == "the engine is missing"
    assert failed.value.where == str(layout.logs / "run.log")
