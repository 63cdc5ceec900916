"""A real member of etcd on loopback, which a test can kill, freeze and start again on the same data."""

import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.lab.waiting import eventually


class EtcdProcess:
    """`endpoint` is HOST:PORT and `peer_url` a URL, the same before and after a restart."""

    def __init__(self, directory: Path, name: str = "default") -> None:
        self.name = name
        self._directory = directory
        self._client_port, self._peer_port = _free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"127.0.0.1:{self._client_port}"
        self.peer_url = f"http://127.0.0.1:{self._peer_port}"

    def start(self, *options: str) -> None:
        """Returns when it is healthy; raises TimeoutError after 20 s. `options` are etcd's own, such as a quota."""
        self.launch(*options)
        eventually(self._healthy, timeout=20)

    def join(self, *others: "EtcdProcess") -> None:
        """Start as a member that these know already, and do not wait for it."""
        members = ",".join(f"{each.name}={each.peer_url}" for each in (self, *others))
        self.launch("--initial-cluster-state", "existing", "--initial-cluster", members)

    def launch(self, *options: str) -> None:
        program = shutil.which("etcd")
        assert program, "etcd-server is not installed"
        client, peer = f"http://{self.endpoint}", self.peer_url
        urls = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
        cluster = ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"{self.name}={peer}"]
        with (self._directory / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "--name", self.name, "--data-dir", str(self._directory / "data"), *urls, *cluster, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """SIGKILL; acknowledged writes stay on disk."""
        assert self._process
        self._process.kill()
        self._process.wait()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def lose_data(self) -> None:
        shutil.rmtree(self._directory / "data")

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Connections stay open and nothing answers."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _healthy(self) -> bool:
        if not self._process or self._process.poll() is not None:
            raise RuntimeError(f"etcd ended:\n{(self._directory / 'etcd.log').read_text()}")
        try:
            with urllib.request.urlopen(f"http://{self.endpoint}/health", timeout=1) as answer:
                return b'"true"' in answer.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
