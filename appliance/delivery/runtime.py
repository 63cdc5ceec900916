"""Our own container engine, unpacked from the package when a host has none that will do.

Like the Python runtime it lies below `/opt/appliance/runtime` under a name that holds a digest of its content: the
programs' ELF interpreter is that absolute path. Made beside its place and renamed when complete and on the disk.
"""

import ctypes
import errno
import io
import os
import shutil
import stat
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from appliance.delivery.package import Package
from appliance.errors import ApplianceError, PackageDamaged

RUNTIME_HOME = Path("/opt/appliance/runtime")
_LARGEST = 2 << 30
_MOST_MEMBERS = 100_000


@dataclass(frozen=True)
class EngineRuntime:
    """An unpacked engine. Start `dockerd` with `environment` added to its own, so that it finds its companions."""

    home: Path

    @property
    def dockerd(self) -> Path:
        return self.home / "bin" / "dockerd"

    @property
    def programs(self) -> Path:
        """The folder of dockerd, containerd, runc, iptables and nft, for the front of `PATH`."""
        return self.home / "bin"

    @property
    def environment(self) -> dict[str, str]:
        """`PATH` and `XTABLES_LIBDIR` for the engine and for our own iptables and nft."""
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": f"{self.programs}:{system}", "XTABLES_LIBDIR": str(self.home / "lib" / "xtables")}


def unpack_engine(package: Package, base: Path = RUNTIME_HOME) -> EngineRuntime:
    """The engine of the package, unpacked below `base` unless it is there already.

    Its programs only start from `/opt/appliance/runtime`; another `base` is for looking at them. Raises
    PackageDamaged when the part is not what was built, ApplianceError when there is no room or no permission.
    """
    part = package.part("engine")
    home = base / _plain_name(part.runtime)
    if not home.exists():
        content = package.read("engine")
        try:
            with _draft(base) as draft:
                extract(content, draft / "engine")
                _flush(base)
                _publish(draft / "engine", home)
        except OSError as error:
            raise ApplianceError(
                "The container engine could not be unpacked.",
                where=str(base),
                why=error.strerror or str(error),
                next=f"make 400 MB of room in {base} and see that root may write there, then run the command again",
            ) from error
    return EngineRuntime(home)


def extract(content: bytes, target: Path) -> None:
    """Unpack a tar.gz of regular files, folders and relative links that stay inside; anything else is refused."""
    target.mkdir(parents=True)
    room = _LARGEST
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for count, member in enumerate(tar):
            room -= member.size
            if room < 0 or count > _MOST_MEMBERS:
                raise PackageDamaged("engine", "it is larger than an engine can be")
            _extract_member(tar, member, target)


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise PackageDamaged("engine", f"its member {member.name!r} points outside")
    place = target / path
    if member.isdir():
        place.mkdir(exist_ok=True)
    elif member.issym():
        if "/" in member.linkname:
            raise PackageDamaged("engine", f"its link {member.name!r} leaves its folder")
        place.symlink_to(member.linkname)
    elif member.isfile():
        stream = tar.extractfile(member)
        assert stream is not None
        with place.open("xb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        place.chmod(0o755 if member.mode & stat.S_IXUSR else 0o644)
    else:
        raise PackageDamaged("engine", f"its member {member.name!r} is neither file, folder nor link")


def _plain_name(name: str) -> str:
    if not name.startswith("engine-") or "/" in name:
        raise PackageDamaged("manifest", f"{name!r} is no name for an engine's folder")
    return name


@contextmanager
def _draft(base: Path) -> Iterator[Path]:
    """A folder for unpacking. The first start of any later version removes those of processes that died."""
    folder = base / f".unpack-{os.getpid()}-{uuid.uuid4()}"
    before = os.umask(0o022)
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        os.umask(before)
        shutil.rmtree(folder, ignore_errors=True)


def _publish(made: Path, home: Path) -> None:
    """Rename into place; another process's copy that was there first is as good."""
    try:
        made.rename(home)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _flush(base: Path) -> None:
    """What was written to `base`'s file system is on the disk when this returns."""
    folder = os.open(base, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(folder) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(base))
    finally:
        os.close(folder)
