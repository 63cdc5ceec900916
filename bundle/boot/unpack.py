"""The first start: checks what the prelude unpacked, lays the product's code out beside it, and moves both into place.

Runs from the freshly unpacked Python with nothing but the standard library, before anything of the product can be
imported; hence the few lines about the file's format that `appliance/delivery/package.py` has too.

Everything is made in a folder of its own on the same file system and renamed when it is complete and on the disk. Two
first starts at once do the work twice and one copy is dropped; a start that was killed leaves its folder, which a
later one removes.
"""

import contextlib
import ctypes
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import time
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

PRELUDE_SIZE = 8192
LONGEST_START = 600.0
"""Seconds after which a folder that nobody seems to be filling is left over."""
HEADER = "appliance-package 1 manifest={:010d} signature={:010d} sha256={}\n"
_HEADER_SIZE = len(HEADER.format(0, 0, "0" * 64))


class Damaged(Exception):
    """A part is not what was built."""


def main(arguments: list[str]) -> int:
    file, base, temp, python, app = arguments
    try:
        clean_up_after_the_dead(Path(base))
        with open(file, "rb") as package:
            install(package, Path(base), Path(temp), python, app)
    except Damaged as error:
        _complain(f"The package is damaged: part {error} is not what was built.", file, "copy the file again")
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _complain(f"There is no room to unpack the appliance: {why}.", base, "make 250 MB of room there")
        else:
            _complain(f"The appliance cannot be unpacked: {why}.", str(error.filename or base), "see `why`, run again")
    else:
        return 0
    return 1


def _complain(what: str, where: str, next: str) -> None:
    print(f"error: {what}\n  where: {where}\n  next: {next}", file=sys.stderr)


def install(package: BinaryIO, base: Path, temp: Path, python: str, app: str) -> None:
    """Put `python` and `app` into `base`, complete and on the disk, or raise and put neither."""
    manifest, data_start = read_manifest(package)
    parts = {part["name"]: part for part in manifest["parts"]}
    wanted = ["pex", *(name for name in parts if name.startswith("bytecode/"))]
    if not (base / python).exists():
        wanted.append("python")
    content = {name: _read(package, data_start, parts[name]) for name in wanted}
    fresh = temp / "app"
    lay_out(io.BytesIO(content["pex"]), fresh / "site")
    for name in wanted:
        if name.startswith("bytecode/"):
            with tarfile.open(fileobj=io.BytesIO(content[name])) as tar:
                tar.extractall(fresh / "site", filter="data")
    shutil.copyfile(Path(__file__).with_name("start.py"), fresh / "start.py")
    _flush(base)
    for made, place in ((temp / "python", base / python), (fresh, base / app)):
        if made.exists():
            _publish(made, place)
    _flush(base)


def read_manifest(package: BinaryIO) -> tuple[dict[str, Any], int]:
    """The manifest and where the parts start, after checking the manifest's own sha256."""
    package.seek(PRELUDE_SIZE)
    line = package.read(_HEADER_SIZE)
    try:
        fields = dict(word.split("=") for word in line.decode("ascii").split()[2:])
        size, signature, said = int(fields["manifest"]), int(fields["signature"]), fields["sha256"]
    except (ValueError, KeyError) as error:
        raise Damaged("'manifest'") from error
    text = package.read(size)
    bare = HEADER.format(size, signature, "0" * 64).encode()
    if hashlib.sha256(bare + text).hexdigest() != said:
        raise Damaged("'manifest'")
    manifest: dict[str, Any] = json.loads(text)
    return manifest, PRELUDE_SIZE + _HEADER_SIZE + size + signature


def _read(package: BinaryIO, data_start: int, part: dict[str, Any]) -> bytes:
    package.seek(data_start + part["offset"])
    content = package.read(part["size"])
    if hashlib.sha256(content).hexdigest() != part["sha256"]:
        raise Damaged(repr(part["name"]))
    return content


def lay_out(pex: BinaryIO, site: Path) -> None:
    """The PEX's wheels and own code as one folder that Python can import from."""
    with zipfile.ZipFile(pex) as archive:
        for name in archive.namelist():
            if name.startswith(".deps/") and name.endswith(".whl"):
                with zipfile.ZipFile(io.BytesIO(archive.read(name))) as wheel:
                    for member in wheel.namelist():
                        _extract(wheel, member, in_site(member), site)
            elif name.startswith("appliance/"):
                _extract(archive, name, name, site)


def in_site(member: str) -> str:
    """Where a wheel's member goes in the site folder, empty for what is not imported (scripts, headers). Pure."""
    top, _, rest = member.partition("/")
    if not top.endswith(".data"):
        return member
    kind, _, path = rest.partition("/")
    return path if kind in ("purelib", "platlib") else ""


def _extract(archive: zipfile.ZipFile, member: str, name: str, site: Path) -> None:
    if not name or name.endswith("/"):
        return
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Damaged(repr(member))
    target = site / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(archive.read(member))


def _publish(made: Path, place: Path) -> None:
    """Rename into place; when another start was first, its copy is as good as ours."""
    try:
        made.rename(place)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _flush(base: Path) -> None:
    """Everything written below `base` so far is on the disk when this returns."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.open(base, os.O_RDONLY)
    try:
        if libc.syncfs(folder) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(base))
    finally:
        os.close(folder)


def clean_up_after_the_dead(base: Path) -> None:
    """Remove the temporary folders of starts that were killed: ``.unpack-PROCESS-…``, older than any start takes.

    A young one may be of a process in another namespace, which cannot be seen from here.
    """
    for folder in base.glob(".unpack-*"):
        process = folder.name.removeprefix(".unpack-").partition("-")[0]
        with contextlib.suppress(FileNotFoundError):
            old = time.time() - folder.stat().st_mtime > LONGEST_START
            if process.isdigit() and old and not _alive(int(process)):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
