"""Turns a host into the first manager of a new cluster: keys, sidecars, first state, and at last its identity.

Until the identity is on the disk nothing runs and nothing counts: a try that was killed is begun anew.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.delivery import node_files, pki
from appliance.delivery.package import Package
from appliance.host.files import write_atomic, write_if_changed
from appliance.host.layout import Layout
from appliance.model.certificate import USUAL_LIFE
from appliance.model.cluster import HTTPS_PORT, LINK_PORT, Cluster, User
from appliance.model.identity import FirstState, NodeIdentity
from appliance.model.moment import text_of_seconds
from appliance.model.node import Clock, NodeSpec
from appliance.security.accounts import hash_password, new_password
from appliance.security.ca import fingerprint
from appliance.sidecars.manager_sidecars import manager_sidecars
from appliance.sidecars.sidecar import Sidecar

ADMIN = "admin"
FIRST_NUMBER = 1


@dataclass(frozen=True)
class Wish:
    """What a person decides about a new cluster. `engine`: socket of the host's own engine, "" : ours.

    `time_servers` as in Cluster, `clock` as in NodeIdentity. `vip`: the cluster's own address
    as ``IP/LEN``, "" for none. `certificate_life` as in Cluster, `store_quota` as in NodeIdentity.
    """

    cluster_name: str
    node_name: str
    address: str
    network: str
    engine: str
    clock: Clock
    time_servers: tuple[str, ...] = ()
    vip: str = ""
    certificate_life: float = USUAL_LIFE
    store_quota: int = 0


def found(layout: Layout, wish: Wish, package: Package) -> NodeIdentity:
    """Make this host the first manager; it has to be no node yet."""
    now = time.time()
    node_id, cluster_id = node_files.new_id("n"), node_files.new_id("c")
    vip = wish.vip.partition("/")[0]
    life = wish.certificate_life
    authority = pki.make_cluster_keys(layout, wish.cluster_name, node_id, wish.address, now, vip=vip, life=life)
    password = new_password()
    write_atomic(layout.first_password, password + "\n")
    identity = NodeIdentity(
        id=node_id,
        name=wish.node_name,
        number=FIRST_NUMBER,
        address=wish.address,
        roles=("manager", "agent"),
        cluster_id=cluster_id,
        cluster_name=wish.cluster_name,
        network=wish.network,
        managers=(f"{wish.address}:{LINK_PORT}",),
        engine=wish.engine,
        clock=wish.clock,
        vip=wish.vip,
        store_quota=wish.store_quota,
    )
    key = pki.read_host_public_key(layout)
    first = _first_state(identity, wish, fingerprint(authority), hash_password(password), key, now)
    node_files.write_first_state(layout, first)
    write_sidecars(layout, identity, package)
    node_files.write_identity(layout, identity)
    return identity


def write_sidecars(layout: Layout, identity: NodeIdentity, package: Package) -> None:
    """Configuration and assignments of a manager's sidecars, as this release wants them. May be repeated."""
    book = AssignmentBook(layout.assignments)
    layout.web_sockets.mkdir(parents=True, exist_ok=True)
    for sidecar in sidecars_of(layout, identity):
        write_files(layout, sidecar)
        for mount in (mount for container in sidecar.assignment.containers for mount in container.mounts):
            Path(mount.source).mkdir(parents=True, exist_ok=True, mode=0o700)
        book.put(sidecar.with_image(f"sha256:{package.image(sidecar.name).id}"))


def sidecars_of(layout: Layout, identity: NodeIdentity, *, alone: bool = False) -> tuple[Sidecar, ...]:
    """A manager's sidecars. Its etcd founds a cluster only until the first state is in the store, and joins one only
    until it has data: a disk that was lost must make neither a new cluster nor a member that forgot its votes.
    `alone` as etcd has it."""
    member = node_files.read_member(layout)
    return manager_sidecars(
        number=identity.number,
        node_id=identity.id,
        address=identity.address,
        token=_token(layout, identity),
        data=layout.var,
        pki=layout.pki,
        files=layout.sidecar_files,
        sockets=layout.web_sockets,
        founds=member is None and (layout.cluster_file.exists() or layout.restored_file.exists()),
        peers=member.peers if member else {},
        quota=identity.store_quota,
        alone=alone,
    )


def _token(layout: Layout, identity: NodeIdentity) -> str:
    """Of etcd's cluster. Members of the one before a restore know this member's name and address, and would bring it
    back to the state of theirs if the two clusters were the same."""
    restored = layout.restored_file
    return f"{identity.cluster_id}-{restored.stat().st_mtime_ns}" if restored.exists() else identity.cluster_id


def write_files(layout: Layout, sidecar: Sidecar) -> None:
    """What it reads."""
    for name, (text, mode) in sidecar.files.items():
        write_if_changed(layout.sidecar_files / sidecar.name / name, text, mode=mode)


def _first_state(identity: NodeIdentity, wish: Wish, authority: str, password: str, key: str, now: float) -> FirstState:
    moment = text_of_seconds(now, "seconds")
    return FirstState(
        cluster=Cluster(
            id=identity.cluster_id,
            name=identity.cluster_name,
            url=f"https://{wish.vip.partition('/')[0] or identity.address}:{HTTPS_PORT}/",
            network=identity.network,
            ca_fingerprint=authority,
            created_at=moment,
            time_servers=wish.time_servers,
            vip=wish.vip,
            certificate_life=wish.certificate_life,
            store_quota=wish.store_quota,
        ),
        admin=User(name=ADMIN, password=password, created_at=moment),
        node=NodeSpec(
            id=identity.id,
            name=identity.name,
            number=identity.number,
            address=identity.address,
            roles=identity.roles,
            joined_at=moment,
            ssh_key=key,
        ),
    )
