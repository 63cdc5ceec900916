"""Lets the firewall see what instances of one node say to each other, which the bridge keeps to itself otherwise.

The kernel's module br_netfilter has the setting ``net.bridge.bridge-nf-call-iptables``, of each network namespace
(kernel.org, "ip-sysctl", bridge-nf-call-iptables). It is for all bridges, so it is changed only where it is needed.
"""

import contextlib
import logging
import subprocess
from pathlib import Path

from appliance.host.files import write_atomic

log = logging.getLogger(__name__)

SETTING = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


class BridgedTraffic:
    """`before` is the file that remembers the setting as it was."""

    def __init__(self, before: Path, setting: Path = SETTING) -> None:
        self._before = before
        self._setting = setting
        self._complained = False

    def show(self) -> None:
        """Bring it before the firewall. Says so once where the kernel cannot. Raises OSError."""
        was = self._read()
        if was == "1":
            return
        if not was:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(["modprobe", "br_netfilter"], capture_output=True, timeout=20)
        if not self._setting.exists():
            self._complain()
            return
        if not self._before.exists():
            write_atomic(self._before, f"{was or '0'}\n")
        self._setting.write_text("1\n")

    def restore(self) -> None:
        """As it was before `show` changed it. May be repeated."""
        try:
            was = self._before.read_bytes().strip()
        except FileNotFoundError:
            return
        with contextlib.suppress(FileNotFoundError):
            # What does not say is taken for how kernels begin.
            self._setting.write_text("0\n" if was == b"0" else "1\n")
        self._before.unlink(missing_ok=True)

    def _read(self) -> str:
        try:
            return self._setting.read_text().strip()
        except FileNotFoundError:
            return ""

    def _complain(self) -> None:
        if not self._complained:
            log.warning("the kernel has no br_netfilter: instances of one node reach isolated ones beside them")
        self._complained = True
