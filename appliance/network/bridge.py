"""The engine's network that instances of this node are attached to; the overlay joins those of all nodes."""

from collections.abc import Callable

from appliance.engine.engine import Engine, NetworkSettings
from appliance.loop import Loop
from appliance.model.addresses import gateway_of, subnet_of
from appliance.model.cluster import INSTANCE_BRIDGE, INSTANCE_NETWORK


class Bridge:
    """A component: makes the network when it is missing. `mtu` is asked each time, since a host's interface changes."""

    name = "bridge"

    def __init__(self, engine: Engine, network: str, number: int, mtu: Callable[[], int]) -> None:
        self._engine = engine
        self._network = network
        self._number = number
        self._mtu = mtu
        self._loop = Loop("bridge", self.cycle, interval=60.0)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Leaves the network in place."""
        self._loop.stop()

    def cycle(self) -> None:
        """Raises EngineError, EngineUnavailable, ApplianceError (no interface has the node's address)."""
        self._engine.ensure_network(
            NetworkSettings(
                name=INSTANCE_NETWORK,
                bridge=INSTANCE_BRIDGE,
                subnet=str(subnet_of(self._network, self._number)),
                gateway=gateway_of(self._network, self._number),
                mtu=self._mtu(),
            )
        )
