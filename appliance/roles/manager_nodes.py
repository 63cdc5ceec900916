"""How the controller of the managers tells nodes: over the links, with the keys that all managers share."""

from typing import Protocol

from appliance.delivery import pki
from appliance.host.layout import Layout
from appliance.link.messages import Demotion, Picture, Promotion
from appliance.model.certificate import USUAL_LIFE
from appliance.model.node import NodeSpec
from appliance.store.membership import Member
from appliance.store.state import State


class Outlet(Protocol):
    """The manager's end of the links."""

    def send(self, node_id: str, message: Picture) -> None: ...

    def followers(self) -> set[str]: ...


class ManagerNodes:
    """Fulfils the controller's `Nodes`."""

    def __init__(self, layout: Layout, state: State, outlet: Outlet) -> None:
        self._layout = layout
        self._state = state
        self._outlet = outlet

    def followers(self) -> set[str]:
        return self._outlet.followers()

    def equip(self, node: str, member: Member, peers: dict[str, str]) -> None:
        cluster = self._state.cluster()
        message = Promotion(
            stamp=self._state.stamp(),
            member=f"{member.id:x}",
            peers=peers,
            keys=pki.read_shared(self._layout),
            vip=cluster.vip if cluster else "",
            life=cluster.certificate_life if cluster else USUAL_LIFE,
            store_quota=cluster.store_quota if cluster else 0,
        )
        self._outlet.send(node, message)

    def retire(self, node: NodeSpec) -> None:
        self._outlet.send(node.id, Demotion(stamp=self._state.stamp(), dial=node.dial))
