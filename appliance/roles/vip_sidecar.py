"""The keepalived sidecar that a node keeps by itself, and the end of what it put on the host."""

import os
import signal
import time
from collections.abc import Callable, Sequence

from appliance.agent.assignments import AssignmentBook
from appliance.agent.configured import ConfiguredSidecar
from appliance.agent.fronts import entry_serves, manager_serves
from appliance.agent.standing import Standings
from appliance.agent.vips import PlacedBook, VipKeeper
from appliance.delivery.package import Package
from appliance.engine.engine import ContainerState, Engine
from appliance.host.layout import Layout
from appliance.model.cluster import HTTPS_PORT
from appliance.model.entry import HTTP_PORT
from appliance.model.identity import NodeIdentity
from appliance.model.instance import Assignment, InstanceStatus
from appliance.model.vip import PlacedVip
from appliance.network.vip_host import VipHost
from appliance.sidecars import keepalived


def vip_keeper(
    engine: Engine,
    book: AssignmentBook,
    layout: Layout,
    identity: NodeIdentity,
    package: Package,
    statuses: Callable[[], tuple[InstanceStatus, ...]],
    held: Callable[[tuple[str, ...]], None],
) -> VipKeeper:
    folder = layout.sidecar_files / "keepalived"
    image_id = f"sha256:{package.image('keepalived').id}"

    def made(vips: Sequence[PlacedVip]) -> tuple[Assignment, str]:
        sidecar = keepalived.keepalived(
            number=identity.number, config=str(folder), standing=str(layout.vip_standing), vips=vips
        )
        return sidecar.with_image(image_id), sidecar.files[keepalived.CONFIG][0]

    instance = made(())[0].instance

    def down() -> bool:
        status = next((each for each in statuses() if each.instance == instance), None)
        return status is not None and not any(container.state == "running" for container in status.containers)

    def reload(container: ContainerState) -> None:
        os.kill(container.pid, signal.SIGHUP)

    fronts = {"entry": lambda: entry_serves(HTTP_PORT), "manager": lambda: manager_serves(HTTPS_PORT)}
    return VipKeeper(
        ConfiguredSidecar(
            engine,
            book,
            layout.root_id,
            folder=folder,
            config=keepalived.CONFIG,
            test=keepalived.test_command,
            reload=reload,
        ),
        instance,
        made,
        VipHost(identity.id),
        Standings(layout.vip_standing, fronts, time.monotonic),
        layout.vips,
        down,
        held,
    )


def release_vips(layout: Layout, identity: NodeIdentity) -> None:
    """Take what is left of virtual addresses off this host, once nothing of ours runs. Raises ApplianceError."""
    host = VipHost(identity.id)
    for vip in PlacedBook(layout.vips).all():
        host.remove(vip)
    host.guard(())
