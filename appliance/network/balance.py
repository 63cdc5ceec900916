"""Stable addresses and isolation on this node: keeps our nftables table, and the routes to stable addresses, in place.

It needs no manager: what it goes by is the directory as the node last heard it.
"""

import socket
from collections.abc import Callable

from appliance.errors import ApplianceError
from appliance.host import netfilter
from appliance.host.interfaces import routes
from appliance.loop import Loop
from appliance.model.addresses import virtual_subnets
from appliance.model.cluster import INSTANCE_BRIDGE
from appliance.model.directory import Directory
from appliance.network import nftables
from appliance.network.bridged import BridgedTraffic
from appliance.network.iproute import batch
from appliance.network.ruleset import FAMILY, TABLE, ruleset

LOOK_AGAIN = 2.0
"""Seconds until it looks whether somebody took our table away."""


class Balance:
    """A component. `node` is this node's id. `changed` is called when `works` has."""

    name = "balance"

    def __init__(
        self,
        *,
        network: str,
        node: str,
        number: int,
        directory: Callable[[], Directory],
        bridged: BridgedTraffic,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._network = network
        self._node = node
        self._number = number
        self._directory = directory
        self._bridged = bridged
        self._changed = changed
        self._works = True
        self._read: Directory | None = None
        self._wanted = ""
        self._loaded = ""
        self._listing = ""
        self._generation = -1
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    @property
    def works(self) -> bool:
        """False where the kernel, or the host, has no nftables: names have to lead to the instances themselves."""
        return self._works

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Leaves everything in place."""
        self._loop.stop()

    def wake(self) -> None:
        """Call it when the directory has changed."""
        self._loop.wake()

    def cycle(self) -> None:
        """Bring table and routes to what they should be. Raises ApplianceError, OSError."""
        directory = self._directory()
        if directory.policies:
            self._bridged.show()
        if directory is not self._read:  # it is long where there are many instances
            self._wanted = ruleset(directory, network=self._network, node=self._node, number=self._number)
            self._read = directory
        try:
            if self._wanted != self._loaded or not self._in_place():
                self._load(self._wanted)
        except ApplianceError:
            self._say(works=False)
            raise
        self._say(works=True)
        self._routes()

    def remove(self) -> None:
        """Take everything away; what is missing is no error."""
        self._loop.stop()
        nftables.remove(FAMILY, TABLE)
        present = {network for interface, network in routes() if interface == INSTANCE_BRIDGE}
        gone = [each for each in virtual_subnets(self._network) if each in present]
        batch("ip", [f"route delete {subnet} dev {INSTANCE_BRIDGE}" for subnet in gone])
        self._bridged.restore()

    def _load(self, wanted: str) -> None:
        nftables.load(wanted)
        self._generation = netfilter.generation()
        self._listing = nftables.listing(FAMILY, TABLE)
        self._loaded = wanted

    def _in_place(self) -> bool:
        """Whether our table is as it was when we had loaded it."""
        generation = netfilter.generation()
        if generation == self._generation != -1:
            return True
        if nftables.listing(FAMILY, TABLE) != self._listing:
            return False
        self._generation = generation
        return True

    def _routes(self) -> None:
        """So that the host itself has a way, and an address of its own, towards them; nothing takes it in the end."""
        if INSTANCE_BRIDGE not in [name for _, name in socket.if_nameindex()]:
            return
        present = [network for interface, network in routes() if interface == INSTANCE_BRIDGE]
        missing = [each for each in virtual_subnets(self._network) if each not in present]
        batch("ip", [f"route replace {subnet} dev {INSTANCE_BRIDGE} proto static" for subnet in missing])

    def _say(self, *, works: bool) -> None:
        if works != self._works:
            self._works = works
            self._changed()
