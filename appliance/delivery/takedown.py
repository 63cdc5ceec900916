"""Ending everything on a node: `down` ends containers and the engine, `uninstall` removes our files as well.

Only what is ours goes: containers that carry this root's label, processes from our pid files, and folders of the
layout. Every step may be repeated, so a takedown that was interrupted is finished by running it again.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.delivery import engine_traces, launch
from appliance.delivery.engine_process import EngineProcess, answers
from appliance.delivery.install import forget_program
from appliance.delivery.package import Package
from appliance.delivery.runtime import RUNTIME_HOME, unpack_engine
from appliance.engine.container import ROOT_LABEL
from appliance.engine.engine import Engine
from appliance.errors import ApplianceError
from appliance.host import mounts
from appliance.host.layout import Layout
from appliance.model.cluster import INSTANCE_BRIDGE, INSTANCE_NETWORK

Tell = Callable[[str], None]
GRACE = 10.0


def down(
    layout: Layout,
    engine_socket: str,
    open_engine: Callable[[Path], Engine],
    remove_overlay: Callable[[], None],
    tell: Tell,
) -> None:
    """End our processes, containers, network and engine. Data stays; `appliance up` or `run` brings all back."""
    tell("ending this node's processes")
    launch.stop(layout)
    socket = Path(engine_socket) if engine_socket else layout.engine_socket
    own = None if engine_socket else EngineProcess(layout)
    if own is not None and not own.alive() and _has_engine_data(layout):
        own.start()  # its containers may outlive it: only the engine can end them
    if answers(socket):
        tell("ending containers")
        _remove_containers(open_engine(socket), layout)
    for point in mounts.mounted_below(layout.memory):
        mounts.unmount(point, lazily=True)
    tell("removing the overlay network")
    remove_overlay()
    if own is not None:
        tell("ending the container engine")
        own.stop()
        with Package.open() as package:
            engine_traces.remove(layout, unpack_engine(package), INSTANCE_BRIDGE)


def uninstall(layout: Layout, *, purge: bool, tell: Tell, runtime_home: Path = RUNTIME_HOME) -> list[str]:
    """Remove our files after `down`; returns what was removed.

    Data and keys (`/var/lib/appliance`, `/etc/appliance`) only go with `purge`, and together: neither is of use without
    the other.
    """
    removed = []
    if layout.root == Path("/"):
        launch.remove_unit()
    folders = [layout.run, layout.logs, layout.releases]
    if purge:
        folders += [layout.etc, layout.var]
    for folder in folders:
        _refuse_mounts(folder)
    for folder in folders:
        if folder.exists():
            tell(f"removing {folder}")
            shutil.rmtree(folder)
            removed.append(str(folder))
    forget_program(layout)
    layout.current.unlink(missing_ok=True)
    _forget_root(layout, runtime_home)
    return removed


def _remove_containers(engine: Engine, layout: Layout) -> None:
    ours = engine.list({ROOT_LABEL: layout.root_id})

    def end(name: str) -> None:
        engine.stop(name, GRACE)
        engine.remove(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, [container.name for container in ours]))
    if not engine.list({ROOT_LABEL: ""}):
        engine.remove_network(INSTANCE_NETWORK)


def _has_engine_data(layout: Layout) -> bool:
    return (layout.engine_data / "containers").exists()


def _refuse_mounts(folder: Path) -> None:
    """Never delete through a mount: what is mounted below our folders is somebody's data, or a container's."""
    for point in mounts.mounted_below(folder):
        raise ApplianceError(
            "Something is still mounted below a folder that is to be removed; it was left alone.",
            where=point,
            next=f"umount {point}, then run the same command again",
        )


def remember_root(layout: Layout, runtime_home: Path = RUNTIME_HOME) -> None:
    """The unpacked runtime is shared by all roots of this machine; the last one to go removes it."""
    marks = runtime_home / "roots"
    marks.mkdir(parents=True, exist_ok=True)
    mark = marks / layout.root_id
    if not mark.is_symlink():
        mark.symlink_to(layout.root.resolve())


def _forget_root(layout: Layout, runtime_home: Path) -> None:
    marks = runtime_home / "roots"
    (marks / layout.root_id).unlink(missing_ok=True)
    # A mark whose root is gone belongs to nobody any more.
    if marks.is_dir() and not any(mark.exists() for mark in marks.iterdir()):
        shutil.rmtree(runtime_home, ignore_errors=True)
