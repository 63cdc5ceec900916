"""What a build or a test run needs on the machine, checked before anything is begun."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bundle.workshop import BuildFailed, say


@dataclass(frozen=True)
class Needed:
    """A program or a file, and the Debian package that brings it."""

    package: str
    program: str = ""
    file: str = ""

    @property
    def present(self) -> bool:
        if self.program:
            path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
            return shutil.which(self.program, path=path) is not None
        return Path(self.file).exists()


BUILD = (
    Needed("apt", program="apt-get"),
    Needed("dpkg", program="dpkg-deb"),
    Needed("ca-certificates", file="/etc/ssl/certs/ca-certificates.crt"),
    Needed("debian-archive-keyring", file="/usr/share/keyrings/debian-archive-keyring.gpg"),
)
TEST = (
    Needed("docker.io", program="dockerd"),
    Needed("etcd-server", program="etcd"),
    Needed("iproute2", program="ip"),
    Needed("iptables", program="iptables"),
    Needed("nftables", program="nft"),
    Needed("busybox-static", program="busybox"),
    Needed("curl", program="curl"),
    Needed("chromium", program="chromium"),
    Needed("procps", program="ps"),
    Needed("git", program="git"),
    Needed("wrk", program="wrk"),
    Needed("gcc", program="gcc"),
    Needed("libc6-dev", file="/usr/include/time.h"),
)


def require(needed: Iterable[Needed], *, install: bool) -> None:
    """Install what is missing, or refuse and name the one command that does."""
    packages = sorted({item.package for item in needed if not item.present})
    if not packages:
        return
    command = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"
    if not install:
        raise BuildFailed(
            f"Missing on this machine: {', '.join(packages)}.", next=f"as root: {command}   (or: --install-deps)"
        )
    if os.geteuid() != 0:
        raise BuildFailed("Only root can install packages.", next=f"as root: {command}")
    say(f"  installing {', '.join(packages)}")
    _install(packages)


def _install(packages: list[str]) -> None:
    """Packages may want to start services; a policy file forbids it for the time of the installation.

    A test machine often has no init at all, and a Docker that starts by itself is not wanted anywhere.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(["apt-get", "-q", *words], env=environment, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise BuildFailed(f"apt-get {words[0]} failed, see above.", next="check the network and apt's sources")
    finally:
        if ours:
            policy.unlink(missing_ok=True)
