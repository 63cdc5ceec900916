"""Which container engine a node uses, and the process of our own one."""

import json
import logging
import socket
import struct
import subprocess
import time
from pathlib import Path

from appliance.delivery import engine_traces
from appliance.delivery.package import Package
from appliance.delivery.runtime import unpack_engine
from appliance.errors import EngineUnavailable
from appliance.host.files import write_if_changed
from appliance.host.layout import Layout
from appliance.host.process import plain_environment, read_pid_file, write_pid_file
from appliance.host.unix_connection import UnixConnection

log = logging.getLogger(__name__)

HOST_SOCKET = Path("/run/docker.sock")
OLDEST_API = (1, 41)
"""The engine API of Docker 20.10."""
READY_WITHIN = 60.0


def find_host_engine(layout: Layout) -> str:
    """Path of the socket of the host's own Docker, "" when ours has to be started.

    The host's is used by an installation at ``/`` when it is 20.10 or newer and lives in our network namespace.
    """
    if layout.root != Path("/") or not HOST_SOCKET.exists():
        return ""
    try:
        if not _shares_our_network(HOST_SOCKET):
            return ""
        api = _ask(HOST_SOCKET, "/version").get("ApiVersion", "0.0")
    except (OSError, ValueError):
        return ""
    return str(HOST_SOCKET) if tuple(int(part) for part in str(api).split(".")) >= OLDEST_API else ""


def _shares_our_network(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(2.0)
        peer.connect(str(path))
        pid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/proc/self/ns/net").stat().st_ino


def _ask(path: Path, url: str) -> dict[str, object]:
    connection = UnixConnection(path, timeout=2.0)
    try:
        connection.request("GET", url)
        answer = json.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) else {}
    finally:
        connection.close()


def answers(path: Path) -> bool:
    """Whether an engine answers on this socket now."""
    try:
        return "ApiVersion" in _ask(path, "/version")
    except (OSError, ValueError):
        return False


class EngineProcess:
    """Our dockerd. It outlives us (live-restore keeps containers over its own death as well) and is found again."""

    name = "engine"

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._process: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        if self._process is not None:
            self._process.poll()  # reaps it
        return read_pid_file(self._pid_file) is not None

    def start(self) -> None:
        """Returns once it answers; raises EngineUnavailable when it does not."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it unless it runs, and do not wait until it answers."""
        if not self.alive():
            self._spawn()

    def wait(self) -> None:
        """Returns once it answers; raises EngineUnavailable when it has ended or takes too long."""
        deadline = time.monotonic() + READY_WITHIN
        while not answers(self._layout.engine_socket):
            if not self.alive() or time.monotonic() > deadline:
                raise EngineUnavailable(
                    "The container engine does not start.",
                    where=str(self._log_file),
                    why=self._last_words(),
                    next="correct what it complains of; it is tried again by itself",
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End the engine; its containers go on (live-restore)."""
        mark = read_pid_file(self._pid_file)
        if mark is not None:
            mark.end(30.0)

    @property
    def _pid_file(self) -> Path:
        return self._layout.run / "engine.pid"

    @property
    def _log_file(self) -> Path:
        return self._layout.logs / "engine.log"

    def _spawn(self) -> None:
        with Package.open() as package:
            runtime = unpack_engine(package)
        layout = self._layout
        engine_traces.remember(layout, runtime)
        for folder in (layout.run, layout.logs, layout.engine_data):
            folder.mkdir(parents=True, exist_ok=True)
        config = layout.run / "engine.json"
        write_if_changed(config, json.dumps(engine_settings(layout), indent=2))
        (layout.run / "engine-own.pid").unlink(missing_ok=True)
        with self._log_file.open("ab") as output:
            self._process = subprocess.Popen(
                [str(runtime.dockerd), "--config-file", str(config)],
                env=plain_environment() | runtime.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
        write_pid_file(self._pid_file, self._process.pid)

    def _last_words(self) -> str:
        try:
            lines = self._log_file.read_text(errors="replace").splitlines()
        except OSError:
            return "it left no log"
        return " | ".join(lines[-3:])


def engine_settings(layout: Layout) -> dict[str, object]:
    """dockerd's daemon.json: nothing outside our folders, no bridge of its own, logs capped."""
    return {
        "data-root": str(layout.engine_data),
        "exec-root": str(layout.run / "engine"),
        "pidfile": str(layout.run / "engine-own.pid"),
        "hosts": [f"unix://{layout.engine_socket}"],
        "group": "root",
        "live-restore": True,
        "userland-proxy": False,
        "bridge": "none",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
        "log-level": "warn",
    }
