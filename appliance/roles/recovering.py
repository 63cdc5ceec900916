"""Makes the one manager that is left the whole control plane again, with the state that its etcd has.

`recovery.json` says that it is under way, until the manager itself has finished it; every step may be repeated after a
kill. Only this command ever writes that etcd is to forget the other members, and the manager unwrites it before the
first of them can be added again.
"""

import logging
import shutil
import socket
from collections.abc import Callable, Mapping

import msgspec

from appliance.delivery import launch, node_files
from appliance.delivery.engine_process import EngineProcess
from appliance.delivery.survivors import Survivor
from appliance.engine.engine import Engine
from appliance.errors import Refused, StoreUnavailable
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.model.cluster import ETCD_CLIENT_PORT, ETCD_PEER_PORT, Cluster
from appliance.model.identity import NodeIdentity
from appliance.model.node import NodeSpec
from appliance.roles.founding import sidecars_of, write_files
from appliance.roles.own_member import credentials, endpoints
from appliance.roles.restoring import end_etcd
from appliance.store import keys
from appliance.store.codec import decode, rewritten
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.etcd_status import ask_status
from appliance.store.membership import Membership
from appliance.store.store import Expect, Put, Store

log = logging.getLogger(__name__)

REACHED_WITHIN = 2.0
ANSWERS_WITHIN = 3.0


def look(layout: Layout, identity: NodeIdentity) -> tuple[Survivor, list[Survivor]]:
    """This manager and the others. Raises Refused while a majority answers."""
    others = other_managers(identity)
    channels = EtcdChannels(endpoints(others), credentials(layout))
    store = EtcdStore(channels)
    try:
        _refuse_majority(store)
        here = Survivor(identity.address, reached=True, revision=_revision(channels, "127.0.0.1"))
        return here, [_survivor(channels, address) for address in others]
    finally:
        store.close()


def other_managers(identity: NodeIdentity) -> list[str]:
    """Their addresses."""
    return [host for host, _, _ in (each.rpartition(":") for each in identity.managers) if host != identity.address]


def begin(layout: Layout, identity: NodeIdentity, moment: str, open_engine: Callable[[], Engine]) -> None:
    """All up to the start of this node's processes. Ends them and etcd, and no other container."""
    data, aside = layout.etcd_data / "member", layout.etcd_data / "before-recover"
    if not layout.recovery_file.exists():
        _refuse_without_room(layout)
        shutil.rmtree(aside, ignore_errors=True)
        write_atomic(layout.recovery_file, msgspec.json.encode({"begun_at": moment}))
    launch.stop(layout)
    if not identity.engine:
        EngineProcess(layout).start()
    end_etcd(layout, identity, open_engine())
    if not aside.exists():
        half = aside.with_name("before-recover.half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(data, half)
        half.rename(aside)
    _write_settings(layout, identity, alone=True)


def finish(store: Store, membership: Membership, layout: Layout, identity: NodeIdentity) -> list[str]:
    """To be called by the manager before anybody reads the store, and only with its own etcd behind both.

    Returns what has happened, for people; nothing where no recovery is under way.
    """
    if not layout.recovery_file.exists():
        return []
    alone = [member.name for member in membership.list()] == [identity.id]
    said = _take_over(store, identity) if alone else ["a majority of the managers came back: nothing was recovered"]
    _write_settings(layout, identity, alone=False)
    layout.recovery_file.unlink()
    return said


def _take_over(store: Store, identity: NodeIdentity) -> list[str]:
    listing = store.list(keys.NODES).entries
    cluster = store.get(keys.CLUSTER)
    assert cluster is not None, "etcd has the data of a cluster"
    puts = recovered({entry.key: entry.value for entry in (cluster, *listing)}, identity.id)
    seen = {entry.key: entry.revision for entry in (cluster, *listing)}
    store.commit([Put(key, value) for key, value in puts.items()], [Expect(key, seen[key]) for key in puts])
    lost = [decode(value, NodeSpec, where=key).name for key, value in puts.items() if key != keys.CLUSTER]
    log.warning("recovered: this manager is the only one now; no managers any more: %s", ", ".join(lost))
    return [f"was recovered as the only manager; no managers any more: {', '.join(lost) or 'none'}"]


def recovered(entries: Mapping[str, bytes], own: str) -> dict[str, bytes]:
    """What changes in the store: a higher incarnation, and the other managers are agents. Pure."""
    cluster = decode(entries[keys.CLUSTER], Cluster, where=keys.CLUSTER)
    nodes = {key: decode(value, NodeSpec, where=key) for key, value in entries.items() if key.startswith(keys.NODES)}
    again = msgspec.structs.replace(cluster, incarnation=cluster.incarnation + 1)
    return {keys.CLUSTER: rewritten(entries[keys.CLUSTER], again, where=keys.CLUSTER)} | {
        key: rewritten(entries[key], msgspec.structs.replace(node, roles=("agent",)), where=key)
        for key, node in nodes.items()
        if "manager" in node.roles and node.id != own
    }


def _write_settings(layout: Layout, identity: NodeIdentity, *, alone: bool) -> None:
    for sidecar in sidecars_of(layout, identity, alone=alone):
        write_files(layout, sidecar)


def _refuse_majority(store: Store) -> None:
    try:
        store.get(keys.CLUSTER)
    except StoreUnavailable:
        return
    raise Refused(
        "There is nothing to recover: a majority of the managers answers.",
        next="remove a manager that is gone for good with `appliance node rm`",
        page="managers#when-one-fails",
    )


def _refuse_without_room(layout: Layout) -> None:
    data = layout.etcd_data / "member"
    if not node_files.has_etcd_data(layout):
        raise Refused(
            "This host has no data of etcd.",
            where=str(data),
            why="the cluster's state is recovered from it",
            next="run this on another manager; if there is none, restore a backup",
            page="backup#the-managers-host-is-lost",
        )
    size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    free = shutil.disk_usage(data).free
    if free < size * 1.2:
        raise Refused(
            "There is no room for a copy of etcd's data, which is made before it is changed.",
            where=str(layout.etcd_data),
            why=f"{size // 2**20} MB are needed, {free // 2**20} MB are free",
            next="make room there and run this again",
        )


def _survivor(channels: EtcdChannels, address: str) -> Survivor:
    revision = _revision(channels, address)
    return Survivor(address, revision is not None or _reached(address), revision)


def _revision(channels: EtcdChannels, address: str) -> int | None:
    """None where etcd does not say: it is not there, or was started and has found no majority since."""
    try:
        return ask_status(channels.at(f"{address}:{ETCD_CLIENT_PORT}"), ANSWERS_WITHIN)().revision
    except StoreUnavailable:
        return None


def _reached(address: str) -> bool:
    """Its etcd listens to other members, though it answers nobody else before it has found a majority."""
    try:
        socket.create_connection((address, ETCD_PEER_PORT), REACHED_WITHIN).close()
    except OSError:
        return False
    return True
