"""Reading a package: what is whole is read in place, what is not is named."""

import hashlib
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from appliance.delivery import package
from appliance.delivery.package import Package
from appliance.errors import NotFound, PackageDamaged
from tests.unit.delivery.synthetic import make_package


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_package(tmp_path)


def spoil(file: Path, offset: int) -> None:
    """Change one bit of one byte."""
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))


def damage(file: Path) -> str:
    """The parts that `verify` names, empty when the file is intact."""
    try:
        with Package.open(file) as opened:
            opened.verify()
    except PackageDamaged as error:
        return error.part
    return ""


def places(file: Path) -> dict[str, tuple[int, int]]:
    """First and last offset of every part in the file."""
    with Package.open(file) as opened:
        manifest = opened.manifest
    start = file.stat().st_size - manifest.size
    found = {part.name: (start + part.offset, start + part.offset + part.size - 1) for part in manifest.parts}
    return {**found, "prelude": (0, package.PRELUDE_SIZE - 1), "manifest": (package.PRELUDE_SIZE, start - 1)}


def test_an_intact_file_verifies(file: Path) -> None:
    assert damage(file) == ""


def test_one_changed_byte_at_either_end_of_any_part_is_named_with_its_part(file: Path) -> None:
    for name, ends in places(file).items():
        for offset in ends:
            spoil(file, offset)
            assert damage(file) == name
            spoil(file, offset)
    assert damage(file) == ""


def test_every_byte_of_the_header_is_covered(file: Path) -> None:
    line = file.read_bytes()[package.PRELUDE_SIZE :].split(b"\n")[0]
    for offset in range(len(line) + 1):
        spoil(file, package.PRELUDE_SIZE + offset)
        assert damage(file) == "manifest"
        spoil(file, package.PRELUDE_SIZE + offset)


def test_all_damaged_parts_are_named_at_once(file: Path) -> None:
    for name in ("engine", "prelude", "pex"):
        spoil(file, places(file)[name][0])
    assert damage(file) == "prelude, engine, pex"


def test_a_file_that_was_cut_off_is_damaged(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert damage(file) == "pex"
    for size in (0, 100, package.PRELUDE_SIZE, package.PRELUDE_SIZE + 40):
        file.write_bytes(whole[:size])
        assert damage(file) == "manifest"


def test_something_added_at_the_end_is_found(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"x")
    assert damage(file) == "end of file"


def test_a_manifest_that_claims_to_be_huge_is_not_read(file: Path) -> None:
    content = bytearray(file.read_bytes())
    at = content.index(b"manifest=") + len("manifest=")
    content[at : at + 10] = b"9999999999"
    file.write_bytes(content)
    assert damage(file) == "manifest"


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Package.open(tmp_path / "absent")


def test_the_running_file_is_the_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_FILE", str(file))
    with Package.open() as opened:
        assert opened.path == file
    monkeypatch.delenv("APPLIANCE_FILE")
    with pytest.raises(NotFound, match="not started from"):
        Package.open()


def test_reading_a_damaged_part_is_refused(file: Path) -> None:
    spoil(file, places(file)["sbom"][0])
    with Package.open(file) as opened, pytest.raises(PackageDamaged):
        opened.sbom()


def test_progress_ends_with_everything_checked(file: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with Package.open(file) as opened:
        opened.verify(lambda *step: seen.append(step))
        assert seen[-1] == ("pex", opened.manifest.size, opened.manifest.size)


def test_an_image_archive_is_what_an_engine_loads(file: Path, tmp_path: Path) -> None:
    with Package.open(file) as opened, tarfile.open(fileobj=opened.image_archive(), mode="r|") as tar:
        members = {}
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            members[member.name] = stream.read()
        images = opened.images()
    listing = json.loads(members["manifest.json"])
    assert [entry["RepoTags"] for entry in listing] == [["appliance/one:1.0.0"], ["appliance/two:1.0.0"]]
    for entry, image in zip(listing, images, strict=True):
        assert hashlib.sha256(members[entry["Config"]]).hexdigest() == image.id
        for name in entry["Layers"]:
            assert hashlib.sha256(members[name]).hexdigest() == name.removesuffix(".tar.gz")
    assert len(members) == 1 + 2 + 3, "the shared layer is in it once"


def test_one_image_brings_its_own_layers_only(file: Path) -> None:
    with (
        Package.open(file) as opened,
        tarfile.open(fileobj=opened.image_archive(opened.image("two")), mode="r|") as tar,
    ):
        assert len(tar.getnames()) == 4


def test_an_unknown_image_is_answered_with_the_known_ones(file: Path) -> None:
    with Package.open(file) as opened, pytest.raises(NotFound) as refusal:
        opened.image("three")
    assert "appliance/one, appliance/two" in refusal.value.next


def test_the_manual_is_read_in_place(file: Path) -> None:
    with Package.open(file) as opened, opened.manual() as manual:
        assert manual.read("pages/verify.md") == b"# Verify"


def test_the_end_of_the_file_is_a_zip_that_python_can_run(file: Path) -> None:
    assert zipfile.ZipFile(file).namelist() == ["__main__.py"]


def test_two_readers_do_not_move_each_other(file: Path) -> None:
    with Package.open(file) as opened:
        one, two = opened.open_part("python"), opened.open_part("python")
        first = one.read(10)
        assert two.read(10) == first
        assert first + one.read() == opened.read("python")
