"""What a node measures of itself."""

import os
import platform
from pathlib import Path

from appliance import RELEASE_COUNTER, VERSION
from appliance.host import inventory, storage
from appliance.host.layout import Layout
from appliance.model.node import NodeFacts


def measure(engine: str, layout: Layout) -> NodeFacts:
    """`engine` is the engine's own name and version."""
    return NodeFacts(
        version=VERSION,
        architecture=platform.machine(),
        cpu=len(os.sched_getaffinity(0)) * 1000,
        memory=memory_total(),
        kernel=platform.release(),
        engine=engine,
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        os=_os_name(),
        gpus=inventory.gpus(),
        disks=inventory.disks(),
        storage=storage.sizes(storage.places(layout.volumes, layout.media)),
        devices=inventory.devices(),
        release=RELEASE_COUNTER,
    )


def memory_total() -> int:
    """Bytes of memory of this machine."""
    return _meminfo("MemTotal")


def memory_available() -> int:
    """Bytes that new programs could use without swapping."""
    return _meminfo("MemAvailable")


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return 0


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
