"""What all build steps share: the cache outside the checkout, progress, running programs, failing with a remedy."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent


class BuildFailed(Exception):
    """A build step cannot go on. The message says what and why, `next` what to do about it."""

    def __init__(self, what: str, *, next: str = "") -> None:
        super().__init__(what)
        self.next = next


@dataclass(frozen=True)
class Architecture:
    """One machine architecture under the names that Debian, the kernel and the dynamic loader give it."""

    debian: str
    machine: str
    triplet: str
    loader: str

    @property
    def container(self) -> str:
        """Its name in image configs, which happens to be Debian's."""
        return self.debian


ARCHITECTURES = {
    "amd64": Architecture("amd64", "x86_64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "arm64": Architecture("arm64", "aarch64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}


def native() -> Architecture:
    """The architecture of the build machine."""
    machine = os.uname().machine
    for architecture in ARCHITECTURES.values():
        if architecture.machine == machine:
            return architecture
    raise BuildFailed(f"This machine is {machine}.", next="build on x86_64 or aarch64")


def digest_of(*inputs: Any) -> str:
    """A name for the result of `inputs`: sha256 over their canonical JSON, in hex."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_root() -> Path:
    """`$APPLIANCE_CACHE`, else `appliance-build` in the user's cache folder."""
    own = os.environ.get("APPLIANCE_CACHE")
    if own:
        return Path(own).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).absolute() / "appliance-build"


def cached(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The file or folder `kind/key` of the cache, made by `make(path)` if it is not there yet.

    `make` writes to a path of its own which is renamed when it returns, so what is in the cache is complete; when two
    builds make the same thing, the first to finish wins and the other's copy is dropped.
    """
    place = cache_root() / kind / key
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    attempt = place.with_name(f".{place.name}.{os.getpid()}")
    remove(attempt)
    try:
        make(attempt)
        try:
            attempt.rename(place)
        except OSError:
            if not place.exists():
                raise
    finally:
        remove(attempt)
    return place


def remove(path: Path) -> None:
    """Delete a file or a folder; it may be absent."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is going on and how long it took; one line each, rewritten in place on a terminal."""
    terminal = sys.stderr.isatty()
    started = time.monotonic()
    if terminal:
        print(f"  … {name}", end="", file=sys.stderr, flush=True)
    yield
    took = time.monotonic() - started
    if terminal:
        print(f"\r\033[K  ✓ {name}  {took:.1f} s", file=sys.stderr, flush=True)
    else:
        print(f"  done  {name}  {took:.1f} s", file=sys.stderr, flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    failure: str,
    next: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program and return its stdout; raises BuildFailed with the end of its output when it fails."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=env, cwd=cwd, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BuildFailed(f"{failure}\n{tail}", next=next)
    return done.stdout
