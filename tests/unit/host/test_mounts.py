"""File systems in memory, on the real kernel."""

from pathlib import Path

import pytest

from appliance.host import mounts


def test_what_is_mounted_is_left_and_found_and_taken_off_deepest_first(tmp_path: Path) -> None:
    outer, inner = tmp_path / "a b", tmp_path / "a b/inner"
    for folder in (outer, inner):
        mounts.mount_memory(folder, mode=0o700, size=1 << 20)
    (inner / "note").touch()
    mounts.mount_memory(inner, mode=0o755)
    assert (inner / "note").exists() and inner.stat().st_mode & 0o777 == 0o700
    assert mounts.mounted_below(tmp_path) == [str(inner), str(outer)]
    assert mounts.mounted_below(outer) == [str(inner)]
    for point in mounts.mounted_below(tmp_path):
        mounts.unmount(point)
    assert mounts.mounted_below(tmp_path) == []


def test_what_somebody_uses_is_taken_off_lazily_or_not_at_all(tmp_path: Path) -> None:
    mounts.mount_memory(tmp_path / "used", mode=0o700)
    with (tmp_path / "used/open").open("w"):
        with pytest.raises(OSError, match="used"):
            mounts.unmount(str(tmp_path / "used"))
        mounts.unmount(str(tmp_path / "used"), lazily=True)
    assert mounts.mounted_below(tmp_path) == []
