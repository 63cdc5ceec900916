"""Archives whose bytes depend on nothing but their content: no clock, no user names, no order of a folder."""

import gzip
import io
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LEVEL = 6


@contextmanager
def deb_tree(deb: Path) -> Iterator[tarfile.TarFile]:
    """The files of a Debian package as a tar stream, to be read once from front to back."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as unpacker:
        assert unpacker.stdout is not None
        with tarfile.open(fileobj=unpacker.stdout, mode="r|") as tree:
            yield tree
        while unpacker.stdout.read(1 << 20):
            pass
    if unpacker.returncode != 0:
        raise OSError(f"dpkg-deb could not read {deb}")


@contextmanager
def tar_gz(path: Path) -> Iterator[tarfile.TarFile]:
    """A gzip'ed tar being written to `path`."""
    with path.open("wb") as raw, _gzip(raw) as packed, _tar(packed) as tar:
        yield tar


@contextmanager
def _gzip(raw: BinaryIO) -> Iterator[BinaryIO]:
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=LEVEL, mtime=0) as packed:
        yield packed  # type: ignore[misc]


@contextmanager
def _tar(stream: BinaryIO) -> Iterator[tarfile.TarFile]:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        yield tar


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member without its time and without names of users, its path without a leading `./`."""
    member.mtime = 0
    member.uname = member.gname = ""
    member.name = member.name.removeprefix("./")
    member.pax_headers = {}
    return member


def folder(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    return member


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
    return member


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def add_tree(tar: tarfile.TarFile, root: Path, keep: Callable[[Path], bool] = lambda _: True) -> None:
    """Everything below `root`, sorted, owned by root; programs 0755, other files 0644."""
    for path in _walk(root):
        name = path.relative_to(root)
        if not keep(name):
            continue
        if path.is_symlink():
            tar.addfile(link(str(name), str(path.readlink())))
        elif path.is_dir():
            tar.addfile(folder(str(name)))
        else:
            add_bytes(tar, str(name), path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)


def _walk(root: Path) -> Iterable[Path]:
    for path in sorted(root.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
