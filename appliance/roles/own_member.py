"""What a manager keeps right of its own member of etcd: whom else to ask, where others reach it, how it may start."""

from appliance.delivery import node_files, pki
from appliance.host.layout import Layout
from appliance.loop import Loop
from appliance.model.cluster import ETCD_CLIENT_PORT, etcd_peer_url
from appliance.model.identity import NodeIdentity, OwnMember
from appliance.roles.founding import sidecars_of, write_files
from appliance.store.etcd_channels import Credentials, EtcdChannels
from appliance.store.membership import Member, Membership
from appliance.store.state import State

LOOK_AGAIN = 1.0
"""Seconds until it is looked again whether a member that is new has started."""


class OwnMemberCare:
    """A component."""

    name = "own member"

    def __init__(
        self, layout: Layout, identity: NodeIdentity, state: State, channels: EtcdChannels, membership: Membership
    ) -> None:
        self._layout = layout
        self._identity = identity
        self._state = state
        self._channels = channels
        self._membership = membership
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        self._loop.follow(self._state.nodes.subscribe)
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def cycle(self) -> float | None:
        nodes = self._state.nodes.all().values()
        managers = [node.address for node in nodes if "manager" in node.roles and node.id != self._identity.id]
        self._channels.use(endpoints(managers))
        own = next((member for member in self._membership.list() if member.name == self._identity.id), None)
        if own is None:
            return LOOK_AGAIN
        if own.peer_url != etcd_peer_url(self._identity.address):
            self._membership.set_peer_url(own.id, etcd_peer_url(self._identity.address))
        return None if self._closed(own) else LOOK_AGAIN

    def _closed(self, own: Member) -> bool:
        """Once it has data it never starts without: it would found another cluster, or vote twice."""
        closed = OwnMember(id=f"{own.id:x}")
        if node_files.read_member(self._layout) == closed:
            return True
        if not node_files.has_etcd_data(self._layout):
            return False
        node_files.write_member(self._layout, closed)
        for sidecar in sidecars_of(self._layout, self._identity):
            write_files(self._layout, sidecar)
        return True


def credentials(layout: Layout) -> Credentials:
    """By what this manager talks to etcd. Raises LocalStateDamaged."""
    client = pki.read_leaf(layout, "client")
    return Credentials(pki.read_authority(layout), client.certificate, client.key)


def endpoints(others: list[str]) -> list[str]:
    """Where this manager asks etcd: its own member first, then those at other managers' addresses."""
    return [f"{address}:{ETCD_CLIENT_PORT}" for address in ("127.0.0.1", *others)]
