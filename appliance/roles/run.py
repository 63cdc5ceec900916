"""What `appliance run` keeps alive on a node: the engine (where it is ours), the agent, and on a manager the manager.

The only parent of our processes, with or without systemd. It never stops a container.
"""

import contextlib
import logging
import os
import shutil
import subprocess
import time
from pathlib import Path

import msgspec

from appliance.delivery.engine_process import EngineProcess
from appliance.delivery.node_files import read_identity, write_identity
from appliance.delivery.package import running_file
from appliance.errors import ApplianceError, LocalStateDamaged, NewerState, Refused
from appliance.host.files import write_if_changed
from appliance.host.layout import Layout
from appliance.host.lock import only_one
from appliance.host.process import end_with_parent, write_pid_file
from appliance.model.identity import NodeIdentity
from appliance.roles.settling import settle
from appliance.roles.signals import Signals

log = logging.getLogger(__name__)

STABLE_AFTER = 10.0
"""Seconds a role process must live for its next death to be answered at once."""
LONGEST_PAUSE = 15.0
LARGEST_LOG = 5 * 1024 * 1024
"""Bytes, of which as many again are kept aside: a process may run for years."""
_THRIFTY = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""glibc gives each thread an arena of its own, and keeps the more of what was freed the larger it was (mallopt(3)). Our
threads mostly wait; what an agent takes once, to load images, would stay with it."""


def program(layout: Layout) -> list[str]:
    """The command that starts this product again: the installed release, or the file that we were started from."""
    installed = layout.current / "appliance"
    return [str(installed if installed.exists() else running_file())]


class RoleProcess:
    """One role as a child process, started again whenever it ends."""

    def __init__(self, role: str, layout: Layout) -> None:
        self.role = role
        self._layout = layout
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = 0.0
        self._not_before = 0.0

    def tend(self) -> None:
        """Start it when it is due."""
        now = time.monotonic()
        log_file = self._layout.logs / f"{self.role}.log"
        _rotate(log_file)
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            self._pause = 0.0 if now - self._started > STABLE_AFTER else min(LONGEST_PAUSE, self._pause * 2 + 0.5)
            self._not_before = now + self._pause
            log.warning("%s ended with code %s; starting it again in %.1f s", self.role, code, self._pause)
        if now < self._not_before:
            return
        with log_file.open("ab") as output:
            self._process = subprocess.Popen(
                [*program(self._layout), "role", self.role, "--root", str(self._layout.root)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | _THRIFTY,
                preexec_fn=end_with_parent,
            )
        self._started = now
        write_pid_file(self._layout.run / f"{self.role}.pid", self._process.pid)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(15.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def run(layout: Layout, identity: NodeIdentity) -> None:
    """Keep this node's processes alive until SIGTERM or SIGINT. Raises Refused when another `run` does so already."""
    for folder in (layout.run, layout.web_sockets, layout.logs):
        folder.mkdir(parents=True, exist_ok=True)
    busy = Refused(
        "This node's processes are already being run.",
        where=str(layout.run),
        next="see `appliance status`, or end them with `appliance stop`",
    )
    with only_one(layout.run / "run.lock", busy):
        signals = Signals()
        write_pid_file(layout.run_pid, os.getpid())
        engine = None if identity.engine else EngineProcess(layout)
        write_if_changed(layout.run / "node.id", identity.id + "\n", mode=0o644)
        settled = Settled(layout, identity)
        _tend(signals, engine, settled)
        settled.stop()
        layout.run_pid.unlink(missing_ok=True)


class Settled:
    """The processes of this node's roles, which run with the identity that is on the disk."""

    def __init__(self, layout: Layout, identity: NodeIdentity) -> None:
        self._layout = layout
        self._identity = identity
        self._seen = self._mark()
        self._settle(identity)
        self._processes = self._of_roles()

    def tend(self) -> None:
        """Where the identity has changed, end all and settle what they need; they are started again with the new one.

        Then start those that are due.
        """
        mark = self._mark()
        if mark != self._seen:
            changed = self._read()
            if _needs_a_start(self._identity, changed):
                log.info("this node's address or roles have changed; starting its processes anew")
                self.stop()
                self._settle(changed)
            self._seen, self._identity = mark, changed
            self._processes = self._processes or self._of_roles()
        self.start()

    def start(self) -> None:
        """Those that are due, as they were."""
        for process in self._processes:
            process.tend()

    def stop(self) -> None:
        while self._processes:
            self._processes[-1].stop()
            self._processes.pop()

    def _of_roles(self) -> list[RoleProcess]:
        return [RoleProcess(role, self._layout) for role in ("agent", "manager") if role in self._identity.roles]

    def _settle(self, identity: NodeIdentity) -> None:
        """What cannot be settled must not keep the agent from its instances; who needs it says so again."""
        try:
            settle(self._layout, identity)
        except LocalStateDamaged as error:
            log.error("%s", "\n".join(error.lines()))
        except OSError as error:  # the disk is full
            log.error("what is to be made anew on this node cannot be written: %s", error)

    def _read(self) -> NodeIdentity:
        """What we run with is written again where the file is damaged."""
        try:
            return read_identity(self._layout)
        except NewerState as error:
            log.error("%s", "\n".join(error.lines()))
            return self._identity
        except LocalStateDamaged as error:
            log.error("%s; it is written anew as it was", "\n".join(error.lines()))
            write_identity(self._layout, self._identity)
            return self._identity

    def _mark(self) -> tuple[int, int]:
        """What is another after every write of the file."""
        try:
            found = self._layout.node_file.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns


def _needs_a_start(before: NodeIdentity, now: NodeIdentity) -> bool:
    """Whether the processes do not take this up by themselves; other managers they do, if a manager said so. Pure."""
    by_hand = now.moved and now.managers != before.managers
    return by_hand or msgspec.structs.replace(now, moved=before.moved, managers=before.managers) != before


def _tend(signals: Signals, engine: EngineProcess | None, settled: Settled) -> None:
    complaint = ""
    while not signals.asked_to_end:
        try:
            if engine is not None and not engine.alive():
                engine.begin()
                settled.start()  # they get ready while it does
                engine.wait()
            settled.tend()
            complaint = ""
        except (ApplianceError, OSError) as error:  # a full disk, or no memory for another process
            why = error.why if isinstance(error, ApplianceError) else str(error)
            if why != complaint:
                log.error("%s", "\n".join(error.lines()) if isinstance(error, ApplianceError) else why)
                complaint = why
            signals.wait(2.0)
            continue
        # The end of a child wakes us; an engine that an earlier run started is not our child.
        signals.wait(1.0)


def _rotate(log_file: Path) -> None:
    """Keep a large one aside and go on with an empty one; who writes to it appends, and does not notice."""
    aside = log_file.with_suffix(".log.1")
    with contextlib.suppress(FileNotFoundError):
        if log_file.stat().st_size > LARGEST_LOG:
            try:
                shutil.copyfile(log_file, aside)
            except OSError:  # a full disk: the room is worth more than what was said long ago
                aside.unlink(missing_ok=True)
            os.truncate(log_file, 0)
