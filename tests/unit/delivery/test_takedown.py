"""Taking the appliance off a host removes what is ours, and data only when it was asked for."""

import os
import subprocess
from pathlib import Path

import pytest

from appliance.delivery.install import install_release
from appliance.delivery.journal import record
from appliance.delivery.takedown import remember_root, uninstall
from appliance.errors import ApplianceError
from appliance.host.layout import Layout

KEPT = ("var/lib/appliance/volumes/shop/data", "var/lib/appliance/node.json", "etc/appliance/pki/ca.key")
GONE = ("var/log/appliance/run.log", "run/appliance/agent.json")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A root with a release, data, keys, logs, and a file that is not ours."""
    layout = Layout(tmp_path / "root")
    for name in (*KEPT, *GONE, "etc/hostname"):
        (layout.root / name).parent.mkdir(parents=True, exist_ok=True)
        (layout.root / name).write_text(name)
    (tmp_path / "file").write_text("release")
    install_release(layout, tmp_path / "file")
    remember_root(layout, tmp_path / "runtime")
    return layout


def take_off(layout: Layout, *, purge: bool) -> list[str]:
    return uninstall(layout, purge=purge, tell=lambda text: None, runtime_home=layout.root.parent / "runtime")


def files(layout: Layout) -> set[str]:
    return {str(path.relative_to(layout.root)) for path in layout.root.rglob("*") if not path.is_dir()}


def test_data_and_the_keys_that_it_needs_stay(layout: Layout) -> None:
    take_off(layout, purge=False)
    assert files(layout) == {*KEPT, "etc/hostname"}


def test_purge_leaves_nothing_of_ours(layout: Layout) -> None:
    removed = take_off(layout, purge=True)
    assert files(layout) == {"etc/hostname"}
    assert str(layout.var) in removed
    assert take_off(layout, purge=True) == [], "it may be repeated"


def test_nothing_is_deleted_through_a_mount(layout: Layout) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    disk = layout.root / "var/lib/appliance/a disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(disk)], check=True)
    try:
        (disk / "precious").touch()
        with pytest.raises(ApplianceError) as refused:
            take_off(layout, purge=True)
        assert refused.value.where == str(disk) and (disk / "precious").exists()
        assert set(KEPT) <= files(layout)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    take_off(layout, purge=True)
    assert files(layout) == {"etc/hostname"}


def test_the_last_installation_of_a_machine_takes_the_runtime_along(layout: Layout, tmp_path: Path) -> None:
    runtime, other = tmp_path / "runtime", Layout(tmp_path / "other")
    other.root.mkdir()
    remember_root(other, runtime)
    remember_root(other, runtime)
    take_off(layout, purge=True)
    assert runtime.exists(), "another root uses it"
    uninstall(other, purge=True, tell=lambda text: None, runtime_home=runtime)
    assert not runtime.exists()


def test_a_root_that_vanished_does_not_keep_the_runtime(layout: Layout, tmp_path: Path) -> None:
    remember_root(Layout(tmp_path / "vanished"), tmp_path / "runtime")
    take_off(layout, purge=True)
    assert not (tmp_path / "runtime").exists()


def test_the_journal_has_a_line_for_each_deed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    record(layout, "installed here")
    record(layout, "waived because\n  of a reason")
    lines = layout.journal.read_text().splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["installed here", "waived because of a reason"]
    assert lines[0].split()[0].endswith("Z")
