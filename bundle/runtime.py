"""The runtimes: programs of Debian packages with their own loader and libraries, made to run on any distribution.

Three of them, from the same recipe: `python` (carried by the package, unpacked at the first start), `engine` (carried,
unpacked when our own container engine is needed) and the workshop's own Python, which lives in the cache.

A program's ELF interpreter is an absolute path, so a runtime is made for one folder: `/opt/appliance/runtime/NAME`
with NAME ending in a digest of everything that went in.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundle.archive import add_tree, tar_gz
from bundle.debian import Deb, Wanted
from bundle.workshop import CHECKOUT, Architecture, BuildFailed, cached, digest_of, file_digest, native, run

RUNTIME_HOME = Path("/opt/appliance/runtime")
_RECIPE = 7
"""Raise when a runtime comes out differently for the same packages."""

_BOOT = CHECKOUT / "bundle" / "boot"

_GLIBC = ("libc.so.6", "libm.so.6", "libresolv.so.2", "libnss_files.so.2", "libnss_dns.so.2")
_GLIBC_STUBS = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libanl.so.1")
_FOR_WHEELS = (*_GLIBC, *_GLIBC_STUBS, "libgcc_s.so.1", "libstdc++.so.6")
"""Loaded by name at run time, or by the wheels: no program's own needs lead to them."""

_STDLIB_LEFT_OUT = {
    "EXTERNALLY-MANAGED",
    "__phello__",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "sitecustomize.py",
    "test",
    "tkinter",
    "turtle.py",
    "turtledemo",
}
_EXTENSIONS_LEFT_OUT = (
    "_test",
    "_xxtest",
    "_curses",
    "_dbm",
    "_gdbm",
    "_tkinter",
    "readline",
    "xxlimited",
    "_ctypes_test",
)


@dataclass(frozen=True)
class Unit:
    """What one runtime is made of."""

    wanted: Wanted
    programs: tuple[str, ...]
    libraries: tuple[str, ...]


PYTHON = Unit(
    Wanted(
        ("python3.13-minimal", "libpython3.13-stdlib", "libstdc++6"),
        ("debconf", "libdb5.3t64", "libreadline8t64", "media-types", "netbase", "openssl-provider-legacy", "tzdata"),
    ),
    programs=("usr/bin/python3.13",),
    libraries=_FOR_WHEELS,
)
ENGINE = Unit(
    Wanted(
        ("docker.io", "containerd", "runc", "iptables", "nftables", "iproute2"),
        ("adduser", "init-system-helpers", "libdb5.3t64", "libpam0g", "netbase", "sysvinit-utils"),
    ),
    programs=(
        "usr/bin/ip",
        "usr/sbin/bridge",
        "usr/bin/containerd",
        "usr/bin/containerd-shim-runc-v2",
        "usr/bin/tini-static",
        "usr/sbin/docker-proxy",
        "usr/sbin/dockerd",
        "usr/sbin/nft",
        "usr/sbin/runc",
        "usr/sbin/xtables-nft-multi",
    ),
    libraries=(*_GLIBC, *_GLIBC_STUBS),
)
_ENGINE_LINKS = {
    "docker-init": "tini-static",
    **{
        f"{family}{suffix}": "xtables-nft-multi"
        for family in ("iptables", "ip6tables")
        for suffix in ("", "-save", "-restore", "-nft", "-nft-save", "-nft-restore")
    },
}
TOOLS = Wanted(("patchelf", "python3-pip-whl"), ("ca-certificates", "debconf"))

Debs = Sequence[tuple[Deb, Path]]


@dataclass(frozen=True)
class Runtime:
    """A runtime packed for the package. `name` is its folder below `/opt/appliance/runtime`."""

    name: str
    path: Path


class Patchelf:
    """Debian 13's patchelf, run by its own loader: its version decides bytes, so the build machine's will not do."""

    def __init__(self, tools: Debs) -> None:
        machine = native()
        key = digest_of("tools", _RECIPE, [deb.sha256 for deb, _ in tools])
        self.root = cached("tools", key, lambda place: _extract(tools, place))
        libraries = self.root / "usr/lib" / machine.triplet
        self._command: list[str | Path] = [
            libraries / machine.loader,
            "--library-path",
            libraries,
            self.root / "usr/bin/patchelf",
        ]

    def needed(self, file: Path) -> list[str]:
        """The libraries that an ELF file names."""
        return self._run("--print-needed", file).split()

    def relocate(self, file: Path, interpreter: Path, libraries: Path) -> None:
        """Make a program look in `libraries` first and start with `interpreter`.

        The folder is named absolutely: the loader cannot work out `$ORIGIN` where /proc is not mounted.
        Two runs in this order: patchelf 0.18 asked for both at once, or the other way round, writes a CPython
        that dies at its first instruction.
        """
        self._run("--force-rpath", "--set-rpath", libraries, file)
        self._run("--set-interpreter", interpreter, file)

    def _run(self, *arguments: str | Path) -> str:
        return run([*self._command, *arguments], failure=f"patchelf could not work on {arguments[-1]}")


class Workshop:
    """The native Python 3.13 of the workshop: what runs pip, pex, mkdocs, the compiler and the tests."""

    def __init__(self, python: Debs, patchelf: Patchelf) -> None:
        key = digest_of("workshop", _key("workshop", python, native()), str(patchelf.root))

        def make(place: Path) -> None:
            # Made for the final folder: `place` is renamed to it.
            make_python(python, native(), patchelf, place, home=place.with_name(key))
            wheel = next((patchelf.root / "usr/share/python-wheels").glob("pip-*.whl"))
            shutil.unpack_archive(wheel, place / "pip", "zip")
            loader = place / "lib" / native().loader
            compiler = CHECKOUT / "bundle" / "bytecode.py"
            for tree in (place / "lib" / "python3.13", place / "pip"):
                run(
                    [loader, "--library-path", place / "lib", place / "bin" / "python3.13", "-B", compiler, tree],
                    failure="The workshop's Python does not run.",
                )

        self.home = cached("workshop", key, make)
        self.python = self.home / "bin" / "python3.13"

    def run(self, *arguments: str | Path, failure: str, paths: Sequence[Path] = (), **env: str) -> str:
        """Run Python with `paths` importable; its environment is ours without PYTHON*, PEX_* and pip's settings."""
        return run([self.python, "-B", "-s", *arguments], failure=failure, env=self.environment(paths, **env))

    def pip(self, *arguments: str | Path, failure: str, **env: str) -> str:
        """pip without the machine's configuration files and without its own ideas about the network."""
        return self.run("-m", "pip", "--no-input", *arguments, failure=failure, paths=[self.home / "pip"], **env)

    def environment(self, paths: Sequence[Path], **env: str) -> dict[str, str]:
        return {
            **clean_environment(),
            "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
            "PYTHONHASHSEED": "0",
            **env,
        }


def clean_environment() -> dict[str, str]:
    """Our environment without what would change the outcome of a build; certificates and index settings stay."""
    dropped = ("PYTHON", "PEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "PIP_TARGET", "LD_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def pack_python(debs: Debs, architecture: Architecture, patchelf: Patchelf, workshop: Workshop) -> Runtime:
    """The Python runtime with compiled sources and the boot code, as a tarball."""
    name = f"python-{_key('python', debs, architecture)[:16]}"

    def make(place: Path) -> None:
        with _scratch(place) as tree:
            make_python(debs, architecture, patchelf, tree, home=RUNTIME_HOME / name)
            workshop.run(CHECKOUT / "bundle" / "bytecode.py", tree / "lib/python3.13", failure="Compiling failed.")
            (tree / "boot").mkdir()
            for program in ("unpack.py", "start.py"):
                shutil.copyfile(_BOOT / program, tree / "boot" / program)
            with tar_gz(place) as tar:
                add_tree(tar, tree)

    return Runtime(name, cached("runtimes", f"{name}.tar.gz", make))


def pack_engine(debs: Debs, architecture: Architecture, patchelf: Patchelf) -> Runtime:
    """dockerd, containerd, runc, iptables and nft as a tarball."""
    name = f"engine-{_key('engine', debs, architecture)[:16]}"

    def make(place: Path) -> None:
        with _scratch(place) as tree:
            make_engine(debs, architecture, patchelf, tree, home=RUNTIME_HOME / name)
            with tar_gz(place) as tar:
                add_tree(tar, tree)

    return Runtime(name, cached("runtimes", f"{name}.tar.gz", make))


def make_python(debs: Debs, architecture: Architecture, patchelf: Patchelf, tree: Path, *, home: Path) -> None:
    """`tree` becomes a Python that works when it stands at `home`."""
    with _scratch(tree) as root:
        _extract(debs, root)
        stdlib = tree / "lib" / "python3.13"
        shutil.copytree(root / "usr/lib/python3.13", stdlib, symlinks=True, ignore=_ignore_stdlib)
        extensions = sorted((stdlib / "lib-dynload").glob("*.so"))
        _copy(PYTHON, root, architecture, patchelf, tree, home, loads=extensions)


def make_engine(debs: Debs, architecture: Architecture, patchelf: Patchelf, tree: Path, *, home: Path) -> None:
    """`tree` becomes an engine that works when it stands at `home`."""
    with _scratch(tree) as root:
        _extract(debs, root)
        modules = tree / "lib" / "xtables"
        shutil.copytree(root / "usr/lib" / architecture.triplet / "xtables", modules, symlinks=True)
        _copy(ENGINE, root, architecture, patchelf, tree, home, loads=sorted(modules.glob("*.so")))
        for name, target in _ENGINE_LINKS.items():
            (tree / "bin" / name).symlink_to(target)


def _copy(
    unit: Unit,
    root: Path,
    architecture: Architecture,
    patchelf: Patchelf,
    tree: Path,
    home: Path,
    loads: Sequence[Path],
) -> None:
    """Programs, loader and the closure of libraries from an unpacked Debian tree into a runtime's `bin` and `lib`."""
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    (tree / "lib").mkdir(exist_ok=True)
    programs = [tree / "bin" / Path(name).name for name in unit.programs]
    for name, program in zip(unit.programs, programs, strict=True):
        shutil.copy2((root / name).resolve(), program)
    dynamic = [program for program in programs if b"/ld-linux" in program.read_bytes()[:8192]]
    folder = root / "usr/lib" / architecture.triplet
    shutil.copy2((folder / architecture.loader).resolve(), tree / "lib" / architecture.loader)
    libraries = closure([*dynamic, *loads], unit.libraries, folder, patchelf.needed)
    for name in sorted(libraries - {architecture.loader}):
        shutil.copy2((folder / name).resolve(), tree / "lib" / name)
    for program in dynamic:
        patchelf.relocate(program, home / "lib" / architecture.loader, home / "lib")


def closure(
    files: Sequence[Path], names: Sequence[str], folder: Path, needed: Callable[[Path], Sequence[str]]
) -> set[str]:
    """Names of all libraries in `folder` that `files` and the libraries `names` lead to."""
    found: set[str] = set()
    waiting = [*names, *(name for file in files for name in needed(file))]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if not (folder / name).exists():
            raise BuildFailed(f"No locked package has the library {name}.", next="add its package to the unit")
        found.add(name)
        waiting += needed(folder / name)
    return found


def _ignore_stdlib(folder: str, names: list[str]) -> list[str]:
    left_out = [name for name in names if name in _STDLIB_LEFT_OUT or name.startswith("config-3.13")]
    if Path(folder).name == "lib-dynload":
        left_out += [name for name in names if name.startswith(_EXTENSIONS_LEFT_OUT)]
    return [*left_out, *(name for name in names if name == "__pycache__")]


def _key(kind: str, debs: Debs, architecture: Architecture) -> str:
    sources = [_BOOT / "unpack.py", _BOOT / "start.py", CHECKOUT / "bundle" / "bytecode.py"] if kind == "python" else []
    return digest_of(
        kind, _RECIPE, architecture.debian, [deb.sha256 for deb, _ in debs], [file_digest(path) for path in sources]
    )


def _extract(debs: Debs, place: Path) -> None:
    """Unpack packages over each other."""
    place.mkdir(parents=True, exist_ok=True)
    for deb, path in debs:
        run(["dpkg-deb", "-x", path, place], failure=f"{deb.package} could not be unpacked.", next="./build.py clean")


class _scratch:
    """A folder beside `place` for the time of a `with`."""

    def __init__(self, place: Path) -> None:
        self._folder = place.with_name(f"{place.name}.tree")

    def __enter__(self) -> Path:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        return self._folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
