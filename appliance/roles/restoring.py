"""Makes a host the manager that made a backup: a fresh one in the place of one that is lost, or that manager itself.

Nothing is touched before the whole backup has been read and looked through. The store is filled by the manager when it
starts (`first_state.fill_if_empty`), from a copy of the backup on its disk; every step may be repeated after a kill.
"""

import shutil
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from appliance.agent.fronts import manager_answers
from appliance.delivery import launch, node_files, pki
from appliance.delivery.backup_check import identity_in
from appliance.delivery.backup_file import Backup, Kept
from appliance.delivery.backup_folder import copy_to
from appliance.delivery.engine_process import EngineProcess
from appliance.delivery.package import Package
from appliance.delivery.restored_state import other_managers
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import Engine
from appliance.errors import ApplianceError, Refused, StoreUnavailable
from appliance.host.files import write_atomic
from appliance.host.interfaces import is_local
from appliance.host.layout import Layout
from appliance.model.cluster import HTTPS_PORT, LINK_PORT, SYSTEM_SERVICE
from appliance.model.identity import NodeIdentity
from appliance.model.node import Clock
from appliance.roles.founding import write_sidecars
from appliance.roles.own_member import credentials, endpoints
from appliance.security.ssh import public_key_of
from appliance.store import keys
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels

ANSWER_WITHIN = 3.0
"""Seconds that another manager has to say that it lives."""


def identity_of_restored(
    layout: Layout, backup: Backup, address: str, engine: str = "", clock: Clock = "host"
) -> NodeIdentity:
    """Whom this host becomes. `address` "" : the one that the manager had; `engine` and `clock` are a fresh host's.

    Raises Refused for a host that is another node.
    """
    made = identity_in(backup)
    if node_files.is_node(layout):
        here = node_files.read_identity(layout)
        if (here.cluster_id, here.id) != (made.cluster_id, made.id):
            raise Refused(
                f"This host is the node {here.name} of the cluster {here.cluster_name}; "
                f"the backup is of {made.name} of {made.cluster_name}.",
                where=str(layout.node_file),
                why="a backup restores the manager that made it",
                next="restore it there or on a fresh host, or take one that this manager made",
                page="backup#restore",
            )
        address, engine, clock = address or here.address, here.engine, here.clock
    address = address or made.address
    return msgspec.structs.replace(
        made,
        address=address,
        managers=(f"{address}:{LINK_PORT}",),
        roles=("manager", "agent"),
        engine=engine,
        clock=clock,
        moved=False,
    )


def refuse_foreign_address(identity: NodeIdentity) -> None:
    if not is_local(identity.address):
        raise Refused(
            f"This host does not have the address {identity.address}.",
            why="the manager that made the backup had it",
            next="give this host's own with --address, or give this host that one",
            page="backup#the-managers-host-is-lost",
        )


def refuse_living_managers(backup: Backup, identity: NodeIdentity) -> None:
    """Two control planes would order the same nodes about. Raises Refused when another manager answers."""
    made = identity_in(backup)
    others = {node.name: node.address for node in other_managers(backup.entries, identity.id)}
    if made.address != identity.address:
        others[made.name] = made.address
    for name, address in others.items():
        if _manages(address, backup.files["pki/ca.crt"].data.decode()):
            raise Refused(
                f"The manager {name} at {address} still works.",
                why="it would go on with the state of now, and both would order the nodes about",
                next="end its processes there (containers go on): appliance stop; then restore again",
                page="backup#with-several-managers",
            )


def other_authorities(layout: Layout, backup: Backup) -> str:
    """Why nodes would not let in the manager that comes back on this host; "" where they would, as far as it knows.

    A backup from before new authorities puts the old ones back, which nodes that have learnt the new ones alone do not
    believe. A fresh host knows nothing of the nodes: "".
    """
    if not node_files.is_node(layout) or not pki.may_sign(layout):
        return ""
    signs = public_key_of(backup.files["pki/ssh-ca"].data.decode()).split()[1]
    if signs in pki.read_link_authorities(layout).split():
        return ""
    return f"the authorities in it ({backup.header.made_at}) were replaced since, and nodes believe the new ones only"


def refuse_other_authorities(layout: Layout, backup: Backup) -> None:
    """Raises Refused."""
    if why := other_authorities(layout, backup):
        raise Refused(
            "After this restore no node would let the manager in.",
            where=str(layout.pki),
            why=why,
            next="restore a backup made since; to restore this one and join all nodes anew: --old-authorities",
            page="backup#new-authorities",
        )


def entries_now(layout: Layout) -> dict[str, bytes] | None:
    """What the store of this host holds; None when there is none, or it does not answer."""
    try:
        store = EtcdStore(EtcdChannels(endpoints([]), credentials(layout)))
    except ApplianceError:
        return None
    try:
        return {entry.key: entry.value for entry in store.list(keys.ROOT).entries}
    except StoreUnavailable:
        return None
    finally:
        store.close()


def empty_store(layout: Layout, identity: NodeIdentity, file: Path, open_engine: Callable[[], Engine]) -> None:
    """End this node's processes and its etcd; other containers go on. The data of etcd is kept aside."""
    copy_to(file, layout.restored_file)
    launch.stop(layout)
    if not identity.engine:
        EngineProcess(layout).start()
    end_etcd(layout, identity, open_engine())
    data, aside = layout.etcd_data / "member", layout.etcd_data / "before-restore"  # the folder may be a disk
    if data.exists():
        shutil.rmtree(aside, ignore_errors=True)
        data.rename(aside)


def end_etcd(layout: Layout, identity: NodeIdentity, engine: Engine) -> None:
    """This node's container of it, which its supervisor makes again."""
    own = {ROOT_LABEL: layout.root_id, INSTANCE_LABEL: f"{SYSTEM_SERVICE}/etcd-{identity.number}"}
    for container in engine.list(own):
        engine.stop(container.name, 10.0)
        engine.remove(container.name)


def put_back(layout: Layout, package: Package, file: Path, backup: Backup, identity: NodeIdentity) -> None:
    """Keys, sidecars, what the store is to be filled from and, last, the identity."""
    copy_to(file, layout.restored_file)
    for file_of_another_start in (layout.cluster_file, layout.member_file):
        file_of_another_start.unlink(missing_ok=True)
    for kept in _keys(backup.files):
        write_atomic(layout.etc / kept.path, kept.data, mode=kept.mode)
    write_sidecars(layout, identity, package)
    node_files.write_identity(layout, identity)


def _keys(files: Mapping[str, Kept]) -> list[Kept]:
    return [kept for name, kept in files.items() if name.startswith("pki/") and ".." not in Path(name).parts]


def _manages(address: str, authority: str) -> bool:
    """Whether a manager of the cluster with this authority (PEM) answers there."""
    context = ssl.create_default_context(cadata=authority)
    context.check_hostname = False
    return manager_answers(address, HTTPS_PORT, context, ANSWER_WITHIN)
