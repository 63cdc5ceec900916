"""Unpacking the engine: complete or not at all, and only what an engine is made of."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from appliance.delivery.package import Package
from appliance.delivery.runtime import extract, unpack_engine
from appliance.errors import ApplianceError, PackageDamaged
from bundle.archive import add_bytes, link
from tests.unit.delivery.synthetic import make_package


def archive(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_the_engine_is_unpacked_once_under_its_own_name(tmp_path: Path) -> None:
    base = tmp_path / "runtime"
    with Package.open(make_package(tmp_path)) as package:
        engine = unpack_engine(package, base)
        assert engine.dockerd.read_text() == "dockerd"
        engine.dockerd.write_text("still the first")
        assert unpack_engine(package, base).dockerd.read_text() == "still the first"
    assert [path.name for path in base.iterdir()] == ["engine-1"], "no temporary folder is left"


def test_programs_are_executable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with Package.open(make_package(tmp_path)) as package:
            engine = unpack_engine(package, tmp_path / "runtime")
    finally:
        os.umask(before)
    assert engine.dockerd.stat().st_mode & 0o777 == 0o755
    assert engine.home.stat().st_mode & 0o777 == 0o755


def test_a_damaged_engine_is_not_unpacked(tmp_path: Path) -> None:
    file = make_package(tmp_path)
    with Package.open(file) as package:
        start = file.stat().st_size - package.manifest.size + package.part("engine").offset
        with file.open("r+b") as stream:
            stream.seek(start + 20)
            stream.write(b"\0\0")
        with pytest.raises(PackageDamaged):
            unpack_engine(package, tmp_path / "runtime")
    assert not (tmp_path / "runtime").exists()


def test_a_place_that_cannot_be_written_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Package.open(make_package(tmp_path)) as package, pytest.raises(ApplianceError) as refusal:
        unpack_engine(package, tmp_path / "file")
    assert "room" in refusal.value.next


@pytest.mark.parametrize(
    "hostile",
    [
        member("../outside"),
        member("/etc/passwd"),
        member("bin", tarfile.SYMTYPE, "/etc"),
        member("bin", tarfile.SYMTYPE, "../../etc"),
        member("bin", tarfile.LNKTYPE, "/etc/passwd"),
        member("null", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}->{info.linkname}",
)
def test_a_member_that_no_engine_needs_is_refused(hostile: tarfile.TarInfo, tmp_path: Path) -> None:
    with pytest.raises(PackageDamaged):
        extract(archive(hostile), tmp_path / "engine")


def test_a_file_behind_a_link_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.addfile(link("bin", "file"))
        add_bytes(tar, "bin", b"again")
    with pytest.raises(FileExistsError):
        extract(out.getvalue(), tmp_path / "engine")
