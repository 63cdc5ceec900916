"""Starts this manager's etcd anew, for a file that it reads at its start only."""

import time
from pathlib import Path

from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import Engine
from appliance.errors import EngineError
from appliance.host.layout import Layout
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.identity import NodeIdentity

GRACE = 10.0
STARTED_WITHIN = 60.0


def start_own_etcd_anew(layout: Layout, identity: NodeIdentity) -> None:
    """As `start_etcd_anew`."""
    # Only a rotation needs the engine, and its library takes memory.
    from appliance.engine.docker import DockerEngine

    engine = DockerEngine(Path(identity.engine) if identity.engine else layout.engine_socket)
    start_etcd_anew(engine, layout.root_id, identity.number)


def start_etcd_anew(engine: Engine, root_id: str, number: int) -> None:
    """Stop its container and return when its supervisor has started it again. Raises EngineError when it does not."""
    labels = {ROOT_LABEL: root_id, INSTANCE_LABEL: f"{SYSTEM_SERVICE}/etcd-{number}"}
    before = {container.name: container.started_at for container in engine.list(labels)}
    for name in before:
        engine.stop(name, GRACE)
    deadline = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < deadline:
        now = engine.list(labels)
        if any(each.state == "running" and each.started_at != before.get(each.name) for each in now):
            return
        time.sleep(0.2)
    raise EngineError("etcd does not start again.", where=labels[INSTANCE_LABEL], next="see: appliance ps system")
