"""Virtual addresses on this host: which interface each goes on, and who may speak VRRP with it."""

from collections.abc import Sequence

from appliance.errors import ApplianceError
from appliance.host import interfaces
from appliance.model.vip import PlacedVip, VipPlan
from appliance.network.firewall import VRRP, Chain, Firewall

INPUT = "APPLIANCE-VRRP"


def vrrp_chain(vips: Sequence[PlacedVip]) -> Chain:
    """VRRP version 3 has no authentication: what other hosts than the candidates send to this one's address is dropped.
    That of others, by multicast, is none of our business. Pure."""
    own = sorted({vip.own for vip in vips})
    known = sorted({(peer, vip.own) for vip in vips for peer in vip.peers})
    return Chain(
        "filter",
        INPUT,
        "INPUT",
        (
            *(("-s", f"{peer}/32", "-d", f"{address}/32", "-p", VRRP, "-j", "ACCEPT") for peer, address in known),
            *(("-d", f"{address}/32", "-p", VRRP, "-j", "DROP") for address in own),
        ),
    )


class VipHost:
    """What the agent's keeper of virtual addresses does to this host. `node` is its id."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._firewall = Firewall()

    def place(self, plan: VipPlan) -> PlacedVip | None:
        """None where the interface that a person named is not there. Raises ApplianceError when no interface has the
        address that the other nodes know this one by."""
        rank = next(n for n, each in enumerate(plan.candidates) if each.node == self._node)
        own = plan.candidates[rank].address
        interface = interfaces.interface_of(own)
        if not interface:
            raise ApplianceError(
                f"No interface of this host has the node's address {own}.",
                why="it is needed for the virtual addresses that this node may hold",
                next="give the address back to the host, or tell the cluster: appliance node set-address",
            )
        if plan.interface and not interfaces.exists(plan.interface):
            return None
        return PlacedVip(
            address=plan.address,
            length=plan.length,
            router=plan.router,
            front=plan.front,
            interface=interface,
            device=plan.interface or interfaces.interface_towards(plan.address) or interface,
            own=own,
            peers=tuple(each.address for each in plan.candidates if each.node != self._node),
            rank=rank,
        )

    def guard(self, vips: Sequence[PlacedVip]) -> None:
        """Raises ApplianceError."""
        chain = vrrp_chain(vips)
        if vips:
            self._firewall.apply((chain,))
        else:
            self._firewall.remove((chain,))

    def local(self) -> set[tuple[str, str]]:
        return set(interfaces.local_addresses())

    def remove(self, vip: PlacedVip) -> None:
        interfaces.remove_address(vip.device, vip.address, vip.length)
