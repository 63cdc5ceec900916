"""Python packages: the locks that name them by hash, the wheels for one architecture, and the PEX made of them.

pip and pex run under the workshop's own Python 3.13, so markers and tags are those of the Python that will run the
product, and a lock needs the hashes of that one Python only.
"""

import json
import os
import re
import shutil
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bundle.archive import add_tree, tar_gz
from bundle.boot import unpack
from bundle.runtime import Workshop
from bundle.workshop import ARCHITECTURES, CHECKOUT, Architecture, cached, digest_of, file_digest, native, remove, step

BUNDLE = CHECKOUT / "bundle"
PYTHON_LOCK, TEST_LOCK, TOOLS_LOCK = (BUNDLE / f"{name}.lock" for name in ("python", "test", "tools"))

SOURCE_ONLY = ("etcd3",)
"""Packages that PyPI has as source only; all of them are pure Python. Their wheels are made here."""

TOOLS = ("pex", "setuptools", "mkdocs", "mkdocs-material")
_GLIBC_NEWEST, _GLIBC_OLDEST = 41, 5
_RECIPE = 7


def tools(workshop: Workshop) -> Path:
    """The folder with pex, mkdocs and setuptools."""

    def make(place: Path) -> None:
        _install(workshop, [TOOLS_LOCK], place)

    return cached("python-tools", digest_of(_RECIPE, TOOLS_LOCK.read_text(), workshop.home.name), make)


def test_environment(workshop: Workshop) -> Path:
    """A folder with the locked wheels of the product and of its tests, for the native architecture."""
    own = wheels(native(), workshop)

    def make(place: Path) -> None:
        _install(workshop, [TEST_LOCK], place)
        staged = place.with_name(f"{place.name}.own")
        workshop.pip(
            *("install", "--no-deps", "--no-index", "--target", str(staged)),
            *sorted(own.glob("*.whl")),
            failure="The locked wheels could not be installed for the tests.",
        )
        shutil.copytree(staged, place, dirs_exist_ok=True)
        remove(staged)

    return cached("test-environment", digest_of(_RECIPE, own.name, TEST_LOCK.read_text(), workshop.home.name), make)


def _install(workshop: Workshop, locks: Sequence[Path], place: Path) -> None:
    arguments = [word for lock in locks for word in ("-r", str(lock))]
    workshop.pip(
        *("install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", place),
        *arguments,
        failure=f"The packages of {locks[0].name} could not be installed.",
    )


def wheels(architecture: Architecture, workshop: Workshop) -> Path:
    """The folder of all wheels in python.lock for one architecture."""

    def make(place: Path) -> None:
        place.mkdir()
        lines = PYTHON_LOCK.read_text().splitlines()
        source = [line for line in lines if line.startswith(SOURCE_ONLY)]
        binary = [line for line in lines if line and line not in source]
        wanted = place.with_name(f"{place.name}.txt")
        wanted.write_text("\n".join(binary))
        workshop.pip(
            *("download", "--no-deps", "--require-hashes", "-r", str(wanted), "-d", str(place)),
            *_target(architecture),
            failure="The locked wheels could not be downloaded.",
        )
        wanted.write_text("\n".join(source))
        _make_wheels(workshop, wanted, place, "--require-hashes")
        remove(wanted)

    key = digest_of(_RECIPE, architecture.debian, PYTHON_LOCK.read_text(), TOOLS_LOCK.read_text())
    return cached("wheels", f"{architecture.debian}-{key[:24]}", make)


def _make_wheels(workshop: Workshop, requirements: Path, place: Path, *options: str) -> None:
    """Wheels of source-only packages; the fixed date makes them the same each time."""
    workshop.run(
        *("-m", "pip", "--no-input", "wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir", *options),
        *("-w", place, "-r", requirements),
        failure="The wheels of the source packages could not be made.",
        paths=[workshop.home / "pip", tools(workshop)],
        SOURCE_DATE_EPOCH="315532800",
    )


def _target(architecture: Architecture) -> list[str]:
    """pip's options for CPython 3.13 on the architecture, up to the C library that the runtime carries."""
    words = ["--only-binary", ":all:", "--python-version", "3.13", "--implementation", "cp"]
    for abi in ("cp313", "abi3", "none"):
        words += ["--abi", abi]
    for platform in _platforms(architecture):
        words += ["--platform", platform]
    return words


def _platforms(architecture: Architecture) -> list[str]:
    newest_first = [f"manylinux_2_{minor}" for minor in range(_GLIBC_NEWEST, _GLIBC_OLDEST - 1, -1)]
    legacy = ["manylinux2014", "manylinux2010", "manylinux1"]
    return [f"{name}_{architecture.machine}" for name in (*newest_first, *legacy, "linux")]


def own_code() -> list[Path]:
    """Every file of the product's own package, sorted."""
    found = (path for path in (CHECKOUT / "appliance").rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts and not path.name.startswith("."))


def _own_code_digest() -> str:
    return digest_of([(str(path.relative_to(CHECKOUT)), file_digest(path)) for path in own_code()])


def make_pex(architecture: Architecture, workshop: Workshop) -> Path:
    """The PEX with our code and the wheels; its entry point is the command line."""
    collected = wheels(architecture, workshop)

    def make(place: Path) -> None:
        with _Staged(place) as stage:
            source = stage / "source"
            for path in own_code():
                target = source / path.relative_to(CHECKOUT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o644)
            platform = stage / "platform.json"
            platform.write_text(json.dumps(complete_platform(architecture)))
            workshop.run(
                *("-m", "pex", "--no-pypi", "--pre-resolved-dists", collected, "-D", source, "-o", stage / "out.pex"),
                *("--entry-point", "appliance.cli:main", "--no-pre-install-wheels", "--no-compile"),
                *("--complete-platform", platform, "--pex-root", stage / "pex-root", "--no-build"),
                *(f"{name}=={version}" for name, version in locked_packages()),
                failure="pex could not put the product together.",
                paths=[tools(workshop)],
                TMPDIR=str(stage),
            )
            (stage / "out.pex").rename(place)

    key = digest_of(_RECIPE, collected.name, _own_code_digest(), TOOLS_LOCK.read_text())
    return cached("pex", f"{architecture.debian}-{key[:24]}.pex", make)


def bytecode_of_wheels(architecture: Architecture, workshop: Workshop) -> Path:
    """Compiled sources of all wheels, as a tarball to be laid over the site folder."""
    collected = wheels(architecture, workshop)

    def make(place: Path) -> None:
        with _Staged(place) as stage:
            bundle = stage / "wheels.zip"
            _as_pex(collected, bundle)
            with bundle.open("rb") as stream:
                unpack.lay_out(stream, stage / "site")
            _compile(stage / "site", place, workshop)

    return cached("bytecode", f"wheels-{digest_of(_compiler(), collected.name, workshop.home.name)[:24]}.tar.gz", make)


def bytecode_of_own_code(workshop: Workshop) -> Path:
    """Compiled sources of the product itself."""

    def make(place: Path) -> None:
        with _Staged(place) as stage:
            for path in own_code():
                target = stage / "site" / path.relative_to(CHECKOUT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            _compile(stage / "site", place, workshop)

    return cached("bytecode", f"own-{digest_of(_compiler(), _own_code_digest(), workshop.home.name)[:24]}.tar.gz", make)


def _as_pex(collected: Path, target: Path) -> None:
    """The wheels under the names that they have inside a PEX, so that one routine lays both out."""
    with zipfile.ZipFile(target, "w") as archive:
        for wheel in sorted(collected.glob("*.whl")):
            archive.write(wheel, f".deps/{wheel.name}")


def _compiler() -> str:
    return (BUNDLE / "bytecode.py").read_text()


def _compile(site: Path, place: Path, workshop: Workshop) -> None:
    workshop.run(BUNDLE / "bytecode.py", site, failure="Compiling failed.")
    with tar_gz(place) as tar:
        add_tree(tar, site, lambda name: name.suffix == ".pyc" or (name.suffix == "" and not (site / name).is_file()))


def complete_platform(architecture: Architecture) -> dict[str, Any]:
    """pex's description of the Python in the runtime (packaging.python.org, platform compatibility tags). Pure."""
    platforms = _platforms(architecture)
    tags = [f"cp313-cp313-{platform}" for platform in platforms]
    for minor in range(13, 1, -1):
        tags += [f"cp3{minor}-abi3-{platform}" for platform in platforms]
    tags += [f"cp313-none-{platform}" for platform in platforms]
    for version in ("py313", "py3", *(f"py3{minor}" for minor in range(12, -1, -1))):
        tags += [f"{version}-none-{platform}" for platform in platforms]
    tags += ["cp313-none-any", "py313-none-any", "py3-none-any"]
    tags += [f"py3{minor}-none-any" for minor in range(12, -1, -1)]
    return {
        "path": "python3.13",
        "compatible_tags": tags,
        "marker_environment": {
            "implementation_name": "cpython",
            "implementation_version": "3.13.5",
            "os_name": "posix",
            "platform_machine": architecture.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": "3.13.5",
            "python_version": "3.13",
            "sys_platform": "linux",
        },
    }


def locked_packages() -> list[tuple[str, str]]:
    """(name, version) of everything in python.lock."""
    pairs = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", PYTHON_LOCK.read_text(), re.MULTILINE)
    return [(name, version) for name, version in pairs]


def renew_locks(workshop: Workshop) -> None:
    """Resolve anew what pyproject.toml and TOOLS name, and write the three locks."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    with step("resolving the tools"):
        _write_lock(TOOLS_LOCK, _resolve(workshop, TOOLS, [native()]))
        for architecture in ARCHITECTURES.values():
            if architecture != native():
                _write_lock(TOOLS_LOCK, _resolve(workshop, _pins(TOOLS_LOCK), [architecture]), add=True)
    with step("resolving the runtime dependencies"):
        _write_lock(PYTHON_LOCK, _resolve(workshop, project["project"]["dependencies"], ARCHITECTURES.values()))
    with step("resolving the test dependencies"):
        wanted = [*project["dependency-groups"]["test"], *_pins(PYTHON_LOCK)]
        carried = {name for name, _ in locked_packages()}
        found = _resolve(workshop, wanted, ARCHITECTURES.values())
        _write_lock(TEST_LOCK, {pin: hashes for pin, hashes in found.items() if pin.split("==")[0] not in carried})


def _pins(lock: Path) -> list[str]:
    return re.findall(r"^[A-Za-z0-9._-]+==[^\s\\]+", lock.read_text(), re.MULTILINE)


def _write_lock(lock: Path, pins: dict[str, set[str]], *, add: bool = False) -> None:
    if add:
        for line in lock.read_text().splitlines():
            pin, *hashes = line.split(" --hash=")
            pins.setdefault(pin, set()).update(hashes)
    lines = [" ".join([pin, *(f"--hash={value}" for value in sorted(pins[pin]))]) for pin in sorted(pins)]
    lock.write_text("\n".join(lines) + "\n")


def _resolve(workshop: Workshop, wanted: Sequence[str], architectures: Iterable[Architecture]) -> dict[str, set[str]]:
    """`name==version` -> hashes of the files that the architectures would install."""
    pins: dict[str, set[str]] = {}
    with _Staged(workshop.home.with_name(f"resolve-{os.getpid()}")) as stage:
        local: list[str | Path] = []
        for name in SOURCE_ONLY:
            if name in wanted:
                pin, value = _source_pin(workshop, name, stage)
                pins[pin] = {value}
                local = ["--find-links", stage]
        for architecture in architectures:
            report = workshop.pip(
                *("install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", *local),
                *("--target", str(stage / "nowhere"), *_target(architecture)),
                *[word for word in wanted if not word.startswith(tuple(f"{name}==" for name in SOURCE_ONLY))],
                failure="The dependencies could not be resolved.",
            )
            for item in json.loads(report)["install"]:
                name, version = item["metadata"]["name"], item["metadata"]["version"]
                name = re.sub(r"[-_.]+", "-", name).lower()
                if name not in SOURCE_ONLY:
                    value = item["download_info"]["archive_info"]["hashes"]["sha256"]
                    pins.setdefault(f"{name}=={version}", set()).add(f"sha256:{value}")
    return pins


def _source_pin(workshop: Workshop, name: str, stage: Path) -> tuple[str, str]:
    """Fetch a source-only package and make its wheel in `stage`, so that the resolver can see what it needs."""
    workshop.run(
        *("-m", "pip", "--no-input", "download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:"),
        *("-d", stage, name),
        failure=f"The source of {name} could not be downloaded.",
        paths=[workshop.home / "pip", tools(workshop)],
    )
    archive = next(stage.glob(f"{name}-*.tar.gz"))
    wanted = stage / "source.txt"
    wanted.write_text(str(archive))
    _make_wheels(workshop, wanted, stage)
    version = archive.name.removeprefix(f"{name}-").removesuffix(".tar.gz")
    return f"{name}=={version}", f"sha256:{file_digest(archive)}"


class _Staged:
    """A folder beside `place` for the time of a `with`."""

    def __init__(self, place: Path) -> None:
        self._folder = place.with_name(f"{place.name}.stage")

    def __enter__(self) -> Path:
        remove(self._folder)
        self._folder.mkdir(parents=True)
        return self._folder

    def __exit__(self, *_: object) -> None:
        remove(self._folder)
