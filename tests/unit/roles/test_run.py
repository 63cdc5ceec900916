"""`appliance run` keeps the roles alive. A real one, whose release is a program of this test's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.delivery.node_files import write_identity
from appliance.errors import Refused
from appliance.host.layout import Layout
from appliance.host.process import ProcessMark, read_pid_file
from appliance.model.identity import NodeIdentity
from appliance.roles.run import LARGEST_LOG
from tests.lab.waiting import eventually

_SOURCE = Path(__file__).parents[3]
_ROLE = f"#!{sys.executable}\nimport time\ntime.sleep(600)\n"
_RUN = """
import sys
from pathlib import Path
from appliance.errors import Refused
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity
from appliance.roles.run import run
identity = NodeIdentity(id="n-1", name="one", number=1, address="10.0.0.1", roles=("manager", "agent"), cluster_id="c",
                        cluster_name="lab", network="10.99.0.0/16", managers=(), engine="/somebody/else's.sock")
try:
    run(Layout(Path(sys.argv[1])), identity)
except Refused as refused:
    print(refused.what)
    raise SystemExit(3)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    program = layout.releases / "0/appliance"
    program.parent.mkdir(parents=True)
    program.write_text(_ROLE)
    program.chmod(0o755)
    layout.current.symlink_to(program.parent)
    return layout


@contextmanager
def running(layout: Layout) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _RUN, str(layout.root)]
    with subprocess.Popen(command, cwd=_SOURCE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def role(layout: Layout, name: str) -> ProcessMark | None:
    return read_pid_file(layout.run / f"{name}.pid")


def both(layout: Layout) -> tuple[ProcessMark, ProcessMark]:
    def started() -> tuple[ProcessMark, ProcessMark] | None:
        agent, manager = role(layout, "agent"), role(layout, "manager")
        return (agent, manager) if agent and manager else None

    found = eventually(started, 30)
    assert found
    return found


def test_both_roles_run_and_end_with_it(layout: Layout) -> None:
    with running(layout) as process:
        agent, manager = both(layout)
        assert read_pid_file(layout.run_pid) == ProcessMark.of(process.pid)
        process.terminate()
        assert process.wait(30) == 0
    assert not agent.alive() and not manager.alive()
    assert not layout.run_pid.exists()


def test_a_role_that_was_killed_is_started_again_and_the_other_goes_on(layout: Layout) -> None:
    with running(layout):
        agent, manager = both(layout)
        os.kill(manager.pid, signal.SIGKILL)
        eventually(lambda: role(layout, "manager") not in (None, manager), 30)
        assert role(layout, "agent") == agent and agent.alive()


def test_the_roles_do_not_outlive_it_when_it_is_killed(layout: Layout) -> None:
    with running(layout) as process:
        agent, manager = both(layout)
        process.kill()
        process.wait()
        eventually(lambda: not agent.alive() and not manager.alive(), 30)


def test_other_roles_are_taken_up_while_it_runs(layout: Layout) -> None:
    with running(layout) as process:
        agent, manager = both(layout)
        identity = NodeIdentity(
            id="n-1",
            name="one",
            number=1,
            address="10.0.0.1",
            roles=("agent",),
            cluster_id="c",
            cluster_name="lab",
            network="10.99.0.0/16",
            managers=(),
            engine="/somebody/else's.sock",
        )
        write_identity(layout, identity)
        eventually(lambda: role(layout, "agent") not in (None, agent), 30)
        assert not manager.alive() and role(layout, "manager") in (None, manager)
        write_identity(layout, msgspec.structs.replace(identity, roles=("manager", "agent")))
        eventually(lambda: role(layout, "manager") not in (None, manager), 30)
        process.terminate()
        assert process.wait(30) == 0


def test_a_long_log_is_kept_aside_while_its_process_goes_on(layout: Layout) -> None:
    log = layout.logs / "agent.log"
    with running(layout):
        before = both(layout)
        with log.open("ab") as long:
            long.write(b"x" * (LARGEST_LOG + 1))
        eventually(lambda: log.stat().st_size == 0, 30)
        assert (layout.logs / "agent.log.1").stat().st_size == LARGEST_LOG + 1
        assert both(layout) == before


def test_a_role_that_cannot_be_started_now_is_started_later(layout: Layout) -> None:
    in_the_way = layout.logs / "agent.log"
    in_the_way.mkdir(parents=True)
    with running(layout) as process:
        eventually(layout.run_pid.exists, 30)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        in_the_way.rmdir()
        both(layout)


def test_a_second_run_is_refused_and_harms_nothing(layout: Layout) -> None:
    with running(layout) as first:
        before = both(layout)
        with running(layout) as second:
            assert second.stdout and "already being run" in second.stdout.read()
            assert second.wait(20) == Refused.exit_code
        assert both(layout) == before
        assert read_pid_file(layout.run_pid) == ProcessMark.of(first.pid)
