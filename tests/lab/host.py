"""A host of the lab: one machine's worth of namespaces, which can be cut off, rebooted and asked to run commands.

It has a network, mount, PID, host name and cgroup namespace of its own. Its first process is `boot.sh`; when that
is killed the kernel kills everything else on the host, containers included, and drops its mounts: a power cut.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, Any

from tests.lab.cgroups import Cgroup, hierarchies
from tests.lab.clock import Clock

_CLOCK_IS_SHARED = ("setpriv", "--bounding-set=-sys_time")
"""Nothing on a lab host may set the clock: it is the machine's (but see `Host.clock`)."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandFailed(AssertionError):
    """A command on a host ended with another exit code than 0; the text holds all it printed."""

    def __init__(self, host: str, result: "subprocess.CompletedProcess[str]") -> None:
        super().__init__(
            f"{host}: {' '.join(result.args)} ended with {result.returncode}\n{result.stdout}\n{result.stderr}"
        )
        self.result = result


class Spawned:
    """A command running in the background of a host, its output in `log`."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self.log = log

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout: float) -> int:
        """The exit code, or minus the signal that ended it."""
        return self._process.wait(timeout)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal the command itself, not what it started. Nothing happens when it has ended."""
        for pid in _children(self._process.pid):
            os.kill(pid, number)


class Host:
    """`root` is what the product gets as `--root`; `directory` holds it and all other files of the host.

    `clock`: the one that a test may set, where the host was given its own.
    """

    clock: Clock

    def __init__(self, *, name: str, namespace: str, address: str, directory: Path, cgroup: Cgroup, bare: bool) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address
        self.directory = directory
        self.bare = bare
        self._cgroup = cgroup
        self._init: subprocess.Popen[str] | None = None
        self._files = directory / "files"  # the whole file system of a bare host
        self.root = Path("/") if bare else directory / "root"
        self._own: set[int] = set()
        self._spawned: list[Spawned] = []

    @property
    def data(self) -> Path:
        """The root as the machine sees it."""
        return self._files if self.bare else self.root

    # -- power ---------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start the host's first process. The network namespace must exist."""
        self.data.mkdir(parents=True, exist_ok=True)
        if self.bare:
            _furnish(self._files)
        self._cgroup.create()
        cgroups = "\n".join(f"{h.path} {h.kind} {h.options}" for h in hierarchies())
        nsenter = [*_CLOCK_IS_SHARED, "nsenter", f"--net=/run/netns/{self.namespace}"]
        unshare = ["unshare", "--mount", "--pid", "--uts", "--cgroup", "--fork", "--kill-child"]
        boot = ["/bin/sh", str(Path(__file__).with_name("boot.sh"))]
        arguments = [self.name, str(self.directory), str(self._files if self.bare else "/"), cgroups]
        self._init = subprocess.Popen(
            [
                *self._cgroup.entering(),
                *nsenter,
                *unshare,
                *boot,
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.directory / "boot.log").open("w"),
            text=True,
            start_new_session=True,
        )
        assert self._init.stdout
        assert self._init.stdout.readline() == "ready\n", (self.directory / "boot.log").read_text()
        self._cgroup.settle()
        self._own = self._cgroup.pids()

    @property
    def on(self) -> bool:
        return self._init is not None

    def power_off(self) -> None:
        """SIGKILL every process at once, containers too, and forget what a machine forgets without power."""
        if self._init:
            os.kill(self._first, signal.SIGKILL)
            self._init.wait(timeout=10)
            self._init = None
        for spawned in self._spawned:
            spawned.wait(timeout=10)
        self._cgroup.kill()
        for entry in (self.data / "run").glob("*"):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    def pids(self) -> set[int]:
        """All processes of the host by their numbers on the machine, without those of the lab itself."""
        return self._cgroup.pids() - self._own

    def container_pids(self, container_id: str) -> set[int]:
        """A container's processes by their numbers on the machine."""
        return self._cgroup.pids_of_container(container_id)

    def kill_container(self, container_id: str) -> float:
        """SIGKILL a container's processes behind its engine's back; returns the moment, in seconds since 1970."""
        pids = self._cgroup.pids_of_container(container_id)
        assert pids, f"no process of container {container_id} on {self.name}"
        moment = time.time()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return moment

    # -- commands ------------------------------------------------------------------------------------------------

    def run(
        self, *argv: str | Path, timeout: float = 60, check: bool = True, input: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command on the host with a bare environment. Raises CommandFailed unless `check` is false."""
        result = subprocess.run(
            self._entering(*argv), env=_environment(), input=input, capture_output=True, text=True, timeout=timeout
        )
        result.args = [str(part) for part in argv]
        if check and result.returncode:
            raise CommandFailed(self.name, result)
        return result

    def spawn(self, *argv: str | Path, stdin: int | IO[bytes] = subprocess.DEVNULL) -> Spawned:
        """Run a command in the background."""
        log = self.directory / f"{len(self._spawned)}-{Path(argv[0]).name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._entering(*argv),
                env=_environment(),
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._spawned.append(Spawned(process, log))
        return self._spawned[-1]

    def _entering(self, *argv: str | Path) -> list[str]:
        nsenter = ["nsenter", f"--target={self._first}", "--net", "--mount", "--pid", "--uts", "--cgroup"]
        return [*self._cgroup.entering(), *_CLOCK_IS_SHARED, *nsenter, "--", *(str(part) for part in argv)]

    @property
    def _first(self) -> int:
        """The host's process 1, by its number on the machine."""
        assert self._init, f"lab host {self.name} is off"
        children = _children(self._init.pid)
        assert children, f"the first process of lab host {self.name} has ended"
        return children[0]

    # -- the product ---------------------------------------------------------------------------------------------

    def install_package(self, package: Path) -> None:
        """Copy another package to the host, as an administrator with a USB stick would."""
        subprocess.run(["cp", "--reflink=auto", "--remove-destination", package, self.data / "appliance"], check=True)
        (self.data / "appliance").chmod(0o755)

    def command(self, *args: str | Path) -> list[str]:
        """The command line that runs the product on this host."""
        return ["env", f"APPLIANCE_ROOT={self.root}", str(self.root / "appliance"), *map(str, args)]

    def appliance(
        self, *args: str | Path, timeout: float = 60, check: bool = True, input: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return self.run(*self.command(*args), timeout=timeout, check=check, input=input)

    def ask(self, *args: str, timeout: float = 60) -> Any:
        """The answer of a command as parsed JSON."""
        return json.loads(self.appliance(*args, "-o", "json", timeout=timeout).stdout)

    def start(self) -> Spawned:
        """What the machine's init would do at boot."""
        return self.spawn(*self.command("run"))


def _furnish(files: Path) -> None:
    """A file system with nothing but busybox."""
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "root", "run", "var"):
        (files / name).mkdir(parents=True, exist_ok=True)
    (files / "tmp").chmod(0o1777)
    (files / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (files / "etc/group").write_text("root:x:0:\n")
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed"
    if not (files / "bin/busybox").exists():
        shutil.copy2(busybox, files / "bin/busybox")
        subprocess.run(["chroot", files, "/bin/busybox", "--install", "-s", "/bin"], check=True)
        for packer in ("xz", "unxz", "xzcat", "bzip2", "bunzip2", "bzcat", "lzma", "unlzma", "lzcat", "wget", "dpkg"):
            (files / "bin" / packer).unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    return {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8"}


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
