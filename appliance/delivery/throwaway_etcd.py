"""An etcd from the package that runs without a container engine, where nobody reaches it, and leaves nothing.

It has the image's files as its root, and the calling process goes with it into a network namespace of its own. So a
backup can be tried out on any host that has this file: on a manager beside the real etcd, or on a bare one.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.delivery.package import Package
from appliance.errors import ApplianceError
from appliance.host.process import end_with_parent
from appliance.model.cluster import ETCD_CLIENT_PORT, ETCD_PEER_PORT

ENDPOINT = f"127.0.0.1:{ETCD_CLIENT_PORT}"
READY_WITHIN = 20.0
_LOOK_AGAIN = 0.05
_NEEDED = ("usr/bin/etcd", "usr/lib", "usr/lib64", "lib", "lib64", "usr/bin", "usr", "bin")
"""Of the image: the program and what it is linked with, without the other programs."""
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
"""netdevice(7)"""


def isolate() -> None:
    """From now on this thread and those that it starts have a network of their own, with nothing but loopback."""
    os.unshare(os.CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


@contextmanager
def throwaway_etcd(package: Package, folder: Path, answers: Callable[[str], bool]) -> Iterator[str]:
    """Yields the endpoint of an empty etcd without TLS once it `answers`. `folder` is emptied before and removed after.

    Raises ApplianceError where it does not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _unpack(package, folder)
        process = _start(folder)
        try:
            _wait(process, folder, answers)
            yield ENDPOINT
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(package: Package, folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    for layer in package.image("etcd").layers:
        with tarfile.open(fileobj=package.open_part(layer), mode="r|gz") as tar:
            tar.extractall(folder, filter=_needed)


def _needed(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    name = member.name.removeprefix("./")
    if name not in _NEEDED and not name.startswith(("usr/lib/", "usr/lib64/")):
        return None
    return tarfile.data_filter(member, path)


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    def enter() -> None:
        end_with_parent()
        os.chroot(folder)
        os.chdir("/")

    client, peer = f"http://{ENDPOINT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"  # nothing there resolves names
    command = [
        "/usr/bin/etcd",
        "--name=rehearsal",
        "--data-dir=/data",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=rehearsal={peer}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={}, preexec_fn=enter)


def _wait(process: "subprocess.Popen[bytes]", folder: Path, answers: Callable[[str], bool]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not answers(ENDPOINT):
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text(errors="replace").splitlines()
            raise ApplianceError(
                "The etcd for the rehearsal does not start.",
                where=str(folder),
                why=said[-1] if said else "it said nothing",
                next="see that there are 300 MB of room there, and try again",
                page="backup#verify",
            )
        time.sleep(_LOOK_AGAIN)
