"""What every part of a manager stands on: its files, the store, the copy of it, and the log of events."""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.api.chronicle import Draft
from appliance.api.event_log import EventLog
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity
from appliance.security.sealing import Seal
from appliance.store import keys
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Store

Tell = Callable[[str, str, bool], None]
"""A node's id, a sentence about it, and whether it is a warning."""


@dataclass(frozen=True)
class Ground:
    """`store` goes by way of `channels`; `mirror` is the copy that `state` reads."""

    layout: Layout
    identity: NodeIdentity
    channels: EtcdChannels
    store: Store
    mirror: Mirror
    state: State
    seal: Seal
    events: EventLog

    def teller(self, kind: str) -> Tell:
        """Makes events of this kind."""

        def tell(node: str, text: str, warns: bool) -> None:
            self.events.add([Draft(kind, node, text, "warning" if warns else "info", node)])

        return tell

    def leader(self) -> str:
        """The leading manager's node id, "" if there is none now."""
        entry = self.mirror.get(keys.LEADER)
        return entry.value.decode() if entry else ""

    def is_manager(self, node_id: str) -> bool:
        """Whether the node is to be one."""
        node = self.state.nodes.get(node_id)
        return node is not None and "manager" in node.roles
