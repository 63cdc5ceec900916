"""The hardware of a node, read from folders like those of the kernel."""

import os
import stat
from pathlib import Path

import pytest

from appliance.host import inventory
from appliance.model.node import Disk, Gpu

A100 = "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 112\nGPU UUID: \t GPU-4b71\nVideo BIOS: \t ??.??\n"


def _write(root: Path, **files: str) -> None:
    """Files by path; in names, ``__`` is a slash and a device's name may hold any other character."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_gpus_are_those_that_the_driver_could_start(tmp_path: Path) -> None:
    folder = "proc__driver__nvidia__gpus__"
    _write(
        tmp_path,
        **{
            f"{folder}0000:3b:00.0__information": A100,
            f"{folder}0000:d8:00.0__information": A100.replace("GPU-4b71", "GPU-????????"),
        },
    )
    assert inventory.gpus(tmp_path) == (Gpu(id="GPU-4b71", model="NVIDIA A100-SXM4-40GB"),)


def test_a_node_without_the_driver_has_no_gpu(tmp_path: Path) -> None:
    assert inventory.gpus(tmp_path) == ()


def test_disks_are_told_apart_by_name_and_rotation(tmp_path: Path) -> None:
    _write(
        tmp_path,
        sys__block__nvme0n1__size="2048\n",
        sys__block__nvme0n1__device__model="Fast 1\n",
        sys__block__sda__size="4096\n",
        sys__block__sda__queue__rotational="1\n",
        sys__block__sdb__size="8192\n",
        sys__block__sdb__queue__rotational="0\n",
        sys__block__sdc__size="0\n",
        sys__block__loop0__size="2048\n",
        sys__block__zram0__size="2048\n",
    )
    (tmp_path / "sys/block/dm-0").mkdir()
    assert inventory.disks(tmp_path) == (
        Disk(name="nvme0n1", medium="nvme", size=1 << 20, model="Fast 1"),
        Disk(name="sda", medium="hdd", size=2 << 20),
        Disk(name="sdb", medium="ssd", size=4 << 20),
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="makes device files")
def test_devices_are_those_that_a_container_may_want(tmp_path: Path) -> None:
    (tmp_path / "dev/dri").mkdir(parents=True)
    (tmp_path / "dev/pts").mkdir()
    for name in ("kvm", "dri/card0", "ttyUSB0", "tty1", "vcsa", "loop0", "ram1", "pts/0", "random"):
        os.mknod(tmp_path / "dev" / name, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    (tmp_path / "dev/log").touch()
    assert inventory.devices(tmp_path) == ("/dev/dri/card0", "/dev/kvm", "/dev/random", "/dev/ttyUSB0")


def test_this_machine_has_an_inventory() -> None:
    assert "/dev/null" in inventory.devices() and len(inventory.devices()) <= inventory.MOST_DEVICES
    assert all(disk.medium in ("nvme", "ssd", "hdd") for disk in inventory.disks())
