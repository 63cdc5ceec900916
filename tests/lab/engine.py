"""A plain Docker engine on a lab host: the real thing for contract tests, and the peer in the bench."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.host import Host, Spawned
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

BUSYBOX = "busybox:lab"


class Engine:
    """dockerd with all its files below the host's directory; `socket` can be dialled from the whole machine."""

    def __init__(
        self, host: Host, *, dockerd: Path | str = "dockerd", environment: Mapping[str, str] | None = None
    ) -> None:
        """`dockerd` and the environment it needs; Debian's is found on PATH."""
        self.host = host
        self._command = ["env", *(f"{name}={value}" for name, value in (environment or {}).items()), str(dockerd)]
        self._directory = host.directory / "engine"
        self._process: Spawned | None = None
        self.socket = self._directory / "docker.sock"

    def start(self) -> None:
        """Returns when it answers; raises TimeoutError after 60 s. The image `busybox:lab` is there then."""
        self._directory.mkdir(exist_ok=True)
        # After a power cut the number in either file may be somebody else's; a real host's /run is empty then.
        for left in ("pid", "exec/containerd/containerd.pid"):
            (self._directory / left).unlink(missing_ok=True)
        places = ("--data-root", self._directory / "data", "--exec-root", self._directory / "exec")
        listen = ("-H", f"unix://{self.socket}", "-p", self._directory / "pid")
        self._process = self.host.spawn(*self._command, *places, *listen, "--userland-proxy=false")
        eventually(self._answers, timeout=60)
        if not self.docker("images", "-q", BUSYBOX):
            self.load(docker_archive(self._directory / "busybox.tar", BUSYBOX, command=("sleep", "1000000")))

    def stop(self) -> None:
        if self._process:
            self._process.kill(15)
            self._process.wait(timeout=60)
            self._process = None

    def load(self, archive: Path) -> None:
        self.docker("load", "-i", str(archive))

    def docker(self, *arguments: str, timeout: float = 120) -> str:
        """Run the docker client against this engine and return what it printed."""
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}
        result = subprocess.run(
            ["docker", *arguments], env=environment, capture_output=True, text=True, timeout=timeout
        )
        assert result.returncode == 0, f"docker {' '.join(arguments)}: {result.stderr}"
        return result.stdout.strip()

    def _answers(self) -> bool:
        if not self._process or not self._process.running:
            raise RuntimeError(f"dockerd ended:\n{self._process.log.read_text() if self._process else ''}")
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}
        return subprocess.run(["docker", "version"], env=environment, capture_output=True).returncode == 0
