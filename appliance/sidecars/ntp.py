"""The ntp sidecar: chrony, which keeps a node's clock. Managers' nodes serve the time that the other nodes follow."""

from collections.abc import Sequence

from msgspec.structs import replace

from appliance.model.container import Probe
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, remade_by_files, sidecar

NTP_PORT = 123
CONFIG = "chrony.conf"
LINK_SOCKET = "link.sock"
"""Where chronyd takes what the link measured; below the data."""

_HEAD = (
    "user root",
    "cmdport 0",
    "driftfile /data/drift",
    "makestep 1 3",
)
_LINK = f"refclock SOCK /data/{LINK_SOCKET} refid LINK poll 4 precision 1e-3 delay 0.1"
"""Samples come every 5 s (chrony.conf(5), SOCK). The delay stands for what the link may take more one way."""


def serving(*, allowed: Sequence[str], site: Sequence[str], managers: Sequence[str]) -> str:
    """chrony.conf of a manager's node: it follows the `site`'s servers, and serves the addresses `allowed` also without
    any. The other `managers` are followed too: in orphan mode they agree on one of them (chrony.conf(5), local). Pure.
    """
    sources = (*(f"server {name} iburst" for name in site), *(f"server {address}" for address in managers))
    return _text(*sources, "local stratum 10 orphan", *(f"allow {address}" for address in allowed))


def following(*, managers: Sequence[str]) -> str:
    """chrony.conf of any other node. It opens no port. `managers`: addresses that it may ask; with none, and when they
    do not answer, it follows what the link measured. Pure."""
    return _text("port 0", *(f"server {address} iburst prefer" for address in managers), _LINK)


def ntp(*, number: int, text: str, config: str, data: str, sets_clock: bool) -> Sidecar:
    """`config` and `data` are folders of the host. Without `sets_clock` it only measures and serves. Options:
    chronyd(8), 4.6. Pure.
    """
    made = sidecar(
        "ntp",
        number=number,
        command=("-d", "-f", f"/config/{CONFIG}", *(() if sets_clock else ("-x",))),
        mounts=(Mount(source=config, target="/config", read_only=True), Mount(source=data, target="/data")),
        ready=Probe(exec=("/usr/bin/chronyc", "-n", "tracking"), every=30.0, timeout=5.0),
        files={CONFIG: (text, 0o644)},
    )
    (planned,) = made.assignment.containers
    # A pid file that outlived a power cut would name process 1, which is what chronyd itself is in there.
    planned = replace(planned, capabilities=("SYS_TIME",) if sets_clock else (), tmpfs=("/run",))
    return remade_by_files(Sidecar(replace(made.assignment, containers=(planned,)), made.files))


def _text(*lines: str) -> str:
    return "\n".join((*_HEAD, *lines, ""))
