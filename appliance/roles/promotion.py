"""What a node does when managers say that it is to be one of them, or no longer: files, and the identity last.

`appliance run` then starts this node's processes anew (`settling`). A message may come again, and a kill at any point
is answered by its coming again.
"""

import logging
import time

import msgspec

from appliance.delivery import node_files, pki
from appliance.delivery.package import Package
from appliance.host.layout import Layout
from appliance.link.messages import Demotion, Promotion
from appliance.model.identity import NodeIdentity, OwnMember
from appliance.model.node import Role
from appliance.roles.founding import sidecars_of, write_files, write_sidecars
from appliance.roles.settling import drop_etcd_data

log = logging.getLogger(__name__)

BOTH: tuple[Role, ...] = ("manager", "agent")


class Office:
    """Carries out both messages; not to be called by two threads at once."""

    def __init__(self, layout: Layout, package: Package) -> None:
        self._layout = layout
        self._package = package

    def promote(self, message: Promotion) -> None:
        layout, identity = self._layout, node_files.read_identity(self._layout)
        pki.write_shared(layout, message.keys)
        self._take_member(OwnMember(id=message.member, peers=message.peers))
        if "manager" in identity.roles:
            for sidecar in sidecars_of(layout, identity):
                write_files(layout, sidecar)
            return
        log.info("this node becomes a manager: member %s of etcd", message.member)
        vip = message.vip.partition("/")[0]
        pki.make_manager_keys(layout, identity.id, identity.address, vip, time.time(), message.life)
        write_sidecars(layout, msgspec.structs.replace(identity, store_quota=message.store_quota), self._package)

        def promoted(now: NodeIdentity) -> NodeIdentity:
            return msgspec.structs.replace(
                now, roles=BOTH, dial="agent", vip=message.vip, store_quota=message.store_quota
            )

        node_files.change_identity(layout, promoted)

    def demote(self, message: Demotion) -> None:
        def demoted(now: NodeIdentity) -> NodeIdentity:
            return msgspec.structs.replace(
                now, roles=("agent",), dial=message.dial, vip="", store_quota=0, joined_with=""
            )

        if "manager" in node_files.read_identity(self._layout).roles:
            log.info("this node is to be a manager no more")
            node_files.change_identity(self._layout, demoted)

    def _take_member(self, member: OwnMember) -> None:
        """What etcd holds of another membership must not meet the new one."""
        known = node_files.read_member(self._layout)
        if known is None or known.id != member.id:
            drop_etcd_data(self._layout)
            self._layout.etcd_data.mkdir(parents=True, exist_ok=True, mode=0o700)
        elif not known.peers:
            return  # it has started already
        node_files.write_member(self._layout, member)


def lost_member(layout: Layout) -> str:
    """The id of the member of etcd that this node is, if it had data and has none any more; else ""."""
    member = node_files.read_member(layout)
    lost = member is not None and not member.peers and not node_files.has_etcd_data(layout)
    return member.id if member is not None and lost else ""
