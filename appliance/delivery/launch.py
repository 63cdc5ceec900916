"""Starting and ending `appliance run` on this node: by systemd where it runs, else as a process of its own."""

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.files import write_if_changed
from appliance.host.layout import Layout
from appliance.host.process import plain_environment, read_pid_file

UNIT = Path("/etc/systemd/system/appliance.service")

_UNIT_TEXT = """[Unit]
Description=appliance: this node's managers and agents
After=network.target docker.service
StartLimitIntervalSec=0

[Service]
ExecStart=/opt/appliance/current/appliance run
Restart=always
RestartSec=1
# Containers and the engine outlive this unit: only the process itself is ended.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
"""


def uses_systemd(layout: Layout) -> bool:
    """systemd is in charge of this machine (sd_booted(3)) and this installation is the machine's own."""
    return layout.root == Path("/") and Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


def running(layout: Layout) -> bool:
    return read_pid_file(layout.run_pid) is not None


def start(layout: Layout) -> None:
    """Have `appliance run` running; does nothing when it is."""
    if uses_systemd(layout):
        if write_if_changed(UNIT, _UNIT_TEXT, mode=0o644):
            _systemctl("daemon-reload")
        _systemctl("enable", "--now", UNIT.name)
        return
    if running(layout):
        return
    layout.logs.mkdir(parents=True, exist_ok=True)
    with (layout.logs / "run.log").open("ab") as output:
        process = subprocess.Popen(
            [str(layout.current / "appliance"), "run", "--root", str(layout.root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=plain_environment(),
        )
    deadline = time.monotonic() + 30.0
    while not running(layout):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ApplianceError(
                "This node's processes do not start.",
                where=str(layout.logs / "run.log"),
                why=_last_line(layout.logs / "run.log"),
                next="correct what it complains of and run the same command again",
            )
        time.sleep(0.02)


def stop(layout: Layout) -> bool:
    """End `appliance run` and its roles; containers and engine go on. False when nothing was running."""
    if uses_systemd(layout) and UNIT.exists():
        _systemctl("disable", "--now", UNIT.name)
    mark = read_pid_file(layout.run_pid)
    if mark is None:
        return False
    if not mark.end(40.0):
        raise ApplianceError("This node's processes do not end.", where=f"process {mark.pid}", next="try again")
    for role in ("agent", "manager"):
        # They end with their parent; this waits until they have.
        orphan = read_pid_file(layout.run / f"{role}.pid")
        if orphan is not None:
            orphan.end(15.0)
    return True


def how_to_start(layout: Layout) -> str:
    """The command that starts a stopped node again, for people."""
    return f"systemctl enable --now {UNIT.stem}" if uses_systemd(layout) else "appliance run"


def remove_unit() -> None:
    with contextlib.suppress(FileNotFoundError):
        UNIT.unlink()
        _systemctl("daemon-reload")


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ApplianceError(
            "systemd did not do what was asked.",
            where=f"systemctl {' '.join(arguments)}",
            why=done.stderr.strip(),
            next="see journalctl -u appliance",
        )


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError, IndexError):
        return path.read_text(errors="replace").splitlines()[-1]
    return "it left no log"
