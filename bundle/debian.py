"""Packages from Debian: which ones, from where, and fetched with signatures and hashes checked.

apt does the resolving, downloading and signature checking, with folders of its own, so the build machine's package
state is neither read nor touched. Only the mirror's address is taken from the machine's own apt sources.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bundle.workshop import Architecture, BuildFailed, cache_root, file_digest, run

SUITE = "trixie"
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)


@dataclass(frozen=True)
class Deb:
    """One locked package file."""

    package: str
    version: str
    architecture: str
    sha256: str
    size: int

    def as_json(self) -> dict[str, str | int]:
        return asdict(self)


@dataclass(frozen=True)
class Wanted:
    """What one unit (an image, the runtime) asks of Debian: packages by name, and names never to be taken."""

    packages: tuple[str, ...]
    leave_out: tuple[str, ...] = ()


class Apt:
    """apt for one architecture of the suite, in its own folders inside the cache."""

    def __init__(self, architecture: Architecture, mirror: str | None) -> None:
        self._architecture = architecture
        self._home = cache_root() / "apt" / architecture.debian
        self._mirror = mirror
        self._fresh = False

    def resolve(self, wanted: Wanted) -> list[Deb]:
        """The closure of `wanted` without what it leaves out, in the order of names. Reads the mirror's index."""
        self._refresh()
        plan = self._apt("apt-get", "-s", "--no-install-recommends", "install", *wanted.packages)
        names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
        records = self._records(names)
        kept = reachable(records, wanted)
        return [_deb(records[name]) for name in sorted(kept)]

    def fetch(self, debs: Sequence[Deb]) -> tuple[dict[str, Path], list[Deb]]:
        """Package files by sha256, from the cache or the mirror, and those which the mirror no longer has."""
        missing = [deb for deb in debs if not _place(deb).exists()]
        gone: list[Deb] = []
        if missing:
            self._refresh()
            if not self._download(missing):
                gone = [deb for deb in missing if not _place(deb).exists() and not self._download([deb])]
        return {deb.sha256: _place(deb) for deb in debs if deb not in gone}, gone

    def _download(self, debs: Sequence[Deb]) -> bool:
        """Move the files of `debs` into the cache; False when the mirror's index lacks a version."""
        incoming = self._home / f"incoming-{os.getpid()}"
        incoming.mkdir(exist_ok=True)
        words = [f"{deb.package}={deb.version}" for deb in debs]
        done = subprocess.run(
            [*self._command("apt-get"), "download", *words], cwd=incoming, capture_output=True, text=True
        )
        found = {file_digest(path): path for path in incoming.glob("*.deb")}
        _place(debs[0]).parent.mkdir(parents=True, exist_ok=True)
        for deb in debs:
            if deb.sha256 in found:
                found[deb.sha256].rename(_place(deb))
        shutil.rmtree(incoming)
        if done.returncode == 0:
            if other := [deb for deb in debs if not _place(deb).exists()]:
                raise BuildFailed(
                    f"The mirror's {other[0].package} {other[0].version} is not the file that was locked.",
                    next="look into it; if the mirror is right, renew the lock: ./build.py lock",
                )
            return True
        if "was not found" in done.stderr or "Unable to locate" in done.stderr:
            return False
        raise BuildFailed(
            f"Debian packages could not be downloaded.\n{done.stderr.strip()}",
            next="check the network and the mirror, or name another one: --mirror URL",
        )

    def _refresh(self) -> None:
        if self._fresh:
            return
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self._home / folder).mkdir(parents=True, exist_ok=True)
        (self._home / "status").write_text("")
        (self._home / "debian.sources").write_text(sources_text(self._mirror or machine_mirror(), keyring()))
        self._apt("apt-get", "update", "--error-on=any")
        self._fresh = True

    def _records(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """The index's record of each package, of the version which apt would install."""
        shown = self._apt("apt-cache", "show", "--no-all-versions", *names)
        records = [parse_record(text) for text in shown.strip().split("\n\n")]
        return {record["Package"]: record for record in records}

    def _apt(self, program: str, *arguments: str) -> str:
        return run(
            [*self._command(program), *arguments],
            failure=f"{program} {arguments[0]} failed.",
            next="check the network and the mirror, or name another one: --mirror URL",
        )

    def _command(self, program: str) -> list[str]:
        home, name = self._home, self._architecture.debian
        options = {
            "APT::Architecture": name,
            "APT::Architectures": name,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::State": str(home / "state"),
            "Dir::State::status": str(home / "status"),
            "Dir::Cache": str(home / "cache"),
            "Dir::Etc::sourcelist": str(home / "debian.sources"),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
        }
        return [program, "-q", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]


def _place(deb: Deb) -> Path:
    return cache_root() / "debs" / f"{deb.sha256}.deb"


def reachable(records: Mapping[str, Mapping[str, str]], wanted: Wanted) -> set[str]:
    """Names reached from the wanted packages through dependencies, never through one that is left out.

    Pure. `records` is the closure that apt resolved; of alternatives (`a | b`) all that are in it are followed.
    """
    providers: dict[str, set[str]] = {}
    for name, record in records.items():
        for provided in (name, *_names(record.get("Provides", ""))):
            providers.setdefault(provided, set()).add(name)
    kept: set[str] = set()
    waiting = list(wanted.packages)
    while waiting:
        asked = waiting.pop()
        for name in providers.get(asked, set()) - kept - set(wanted.leave_out):
            kept.add(name)
            record = records[name]
            waiting += _names(record.get("Depends", "")) + _names(record.get("Pre-Depends", ""))
    return kept


def _names(relation: str) -> list[str]:
    """Package names in a dependency field, without versions and architectures."""
    parts = re.split(r"[,|]", relation)
    return [re.split(r"[\s:(\[]", part.strip(), maxsplit=1)[0] for part in parts if part.strip()]


def parse_record(text: str) -> dict[str, str]:
    """Fields of one deb822 paragraph; continuation lines are joined."""
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if line[:1].isspace():
            fields[last] += "\n" + line.strip()
        elif ":" in line and not line.startswith("#"):
            last, _, value = line.partition(":")
            fields[last] = value.strip()
    return fields


def _deb(record: Mapping[str, str]) -> Deb:
    return Deb(record["Package"], record["Version"], record["Architecture"], record["SHA256"], int(record["Size"]))


def keyring() -> Path:
    """The machine's keyring of Debian archive keys."""
    for path in KEYRINGS:
        if path.exists():
            return path
    raise BuildFailed("Debian's archive keys are missing.", next="apt-get install debian-archive-keyring")


def sources_text(mirror: str, key: Path) -> str:
    """The sources file for the suite, its updates, and its security updates beside the mirror."""
    mirror = mirror.rstrip("/")
    security = re.sub(r"/debian$", "/debian-security", mirror)
    if security == mirror:
        security = f"{mirror}-security"
    return "".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {key}\n\n"
        for uri, suites in ((mirror, f"{SUITE} {SUITE}-updates"), (security, f"{SUITE}-security"))
    )


def machine_mirror(etc: Path = Path("/etc/apt")) -> str:
    """Where the machine itself gets Debian's main archive from."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    for path in files:
        if path.exists():
            for uri, suite, components in one_line_sources(path.read_text()):
                if _carries_debian(uri, suite, components):
                    return uri
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for uri, suite, components in deb822_sources(path.read_text()):
            if _carries_debian(uri, suite, components):
                return uri
    raise BuildFailed(f"{etc} names no mirror of Debian's main archive.", next="name one: --mirror URL")


def one_line_sources(text: str) -> list[tuple[str, str, list[str]]]:
    """(URI, suite, components) of each `deb` line."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.split("#")[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            found.append((words[1], words[2], words[3:]))
    return found


def deb822_sources(text: str) -> list[tuple[str, str, list[str]]]:
    """(URI, suite, components) of each enabled paragraph, one entry per suite."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = "\n".join(line for line in paragraph.splitlines() if not line.startswith("#"))
        fields = parse_record(lines)
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                found.append((uri, suite, fields.get("Components", "").split()))
    return found


def _carries_debian(uri: str, suite: str, components: Sequence[str]) -> bool:
    """Debian's main archive, as opposed to its security archive or somebody else's packages."""
    plain = "-" not in suite and "/" not in suite
    return plain and "main" in components and urlsplit(uri).path.rstrip("/").endswith("debian")
