"""Releases lie beside each other, and one of them is current."""

import os
from pathlib import Path

import pytest

from appliance import VERSION
from appliance.delivery.install import install_release, is_installed
from appliance.errors import ApplianceError
from appliance.host.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "root")


def release(tmp_path: Path, content: bytes, name: str = "appliance") -> Path:
    file = tmp_path / name
    file.write_bytes(content)
    return file


def test_the_file_is_copied_executable_and_made_current(layout: Layout, tmp_path: Path) -> None:
    file = release(tmp_path, b"first")
    place = install_release(layout, file)
    assert place.read_bytes() == b"first" and os.access(place, os.X_OK)
    assert (layout.current / "appliance").samefile(place)
    assert not layout.current.readlink().is_absolute(), "the root may be moved, or be seen from a container"
    assert place.parent.name.startswith(f"{VERSION}-")


def test_the_same_bytes_are_not_written_again(layout: Layout, tmp_path: Path) -> None:
    place = install_release(layout, release(tmp_path, b"first"))
    before = place.stat()
    assert install_release(layout, release(tmp_path, b"first", "copy")) == place
    assert install_release(layout, layout.current / "appliance") == place
    after = place.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_other_bytes_go_beside_what_may_be_running(layout: Layout, tmp_path: Path) -> None:
    first = install_release(layout, release(tmp_path, b"first"))
    second = install_release(layout, release(tmp_path, b"second"))
    assert first.read_bytes() == b"first" and second.read_bytes() == b"second"
    assert (layout.current / "appliance").samefile(second)
    install_release(layout, release(tmp_path, b"first"))
    assert (layout.current / "appliance").samefile(first)


def test_a_copy_that_was_damaged_on_the_disk_is_made_good(layout: Layout, tmp_path: Path) -> None:
    file = release(tmp_path, b"first")
    install_release(layout, file).write_bytes(b"fIrst")
    assert install_release(layout, file).read_bytes() == b"first"


def test_is_installed_compares_bytes(layout: Layout, tmp_path: Path) -> None:
    file = release(tmp_path, b"first")
    assert not is_installed(layout, file)
    place = install_release(layout, file)
    assert is_installed(layout, file) and is_installed(layout, place)
    assert not is_installed(layout, release(tmp_path, b"tsrif", "other"))
    place.unlink()
    assert not is_installed(layout, file), "a link that leads nowhere is no release"


def test_what_interrupted_installations_left_goes(layout: Layout, tmp_path: Path) -> None:
    first = install_release(layout, release(tmp_path, b"first"))
    first.rename(first.with_name(".appliance.new"))
    layout.current.rename(layout.current.with_name(".current.new"))
    second = install_release(layout, release(tmp_path, b"second"))
    assert list(first.parent.iterdir()) == [], "a copy may be hundreds of megabytes"
    assert [path.name for path in second.parent.iterdir()] == ["appliance"]
    assert sorted(path.name for path in layout.opt.iterdir()) == ["current", "releases"]


def test_what_cannot_be_written_is_named_and_the_current_release_stays(layout: Layout, tmp_path: Path) -> None:
    first = install_release(layout, release(tmp_path, b"first"))
    second = release(tmp_path, b"second")
    place = install_release(layout, second)
    place.unlink()
    place.mkdir()
    (place / "in the way").touch()
    install_release(layout, release(tmp_path, b"first", "again"))
    with pytest.raises(ApplianceError) as refused:
        install_release(layout, second)
    assert refused.value.where == str(place)
    assert (layout.current / "appliance").samefile(first)
    assert [path.name for path in place.parent.iterdir()] == ["appliance"]
