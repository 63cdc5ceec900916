"""The engine's network that instances of this node are attached to; the overlay joins those of all nodes."""

from collections.abc import Callable

from appliance.engine.engine import Engine, NetworkSettings
from appliance.loop import Loop
from appliance.model.addresses import gateway_of, subnet_of
from appliance.model.cluster import INSTANCE_BRIDGE, INSTANCE_NETWORK
from appliance.network.bridge_device import mend
from appliance.network.published import PublishedPorts


class Bridge:
    """A component: makes the network when it is missing, its bridge when that is, and the rules of published ports.

    `mtu` is asked each time, since a host's interface changes. `mend` and `keep_published` are what reaches into the
    kernel (bridge_device.py, published.py).
    """

    name = "bridge"

    def __init__(
        self,
        engine: Engine,
        network: str,
        number: int,
        mtu: Callable[[], int],
        *,
        mend: Callable[[str, str, int], None] = mend,
        keep_published: Callable[[], None] | None = None,
    ) -> None:
        self._engine = engine
        self._subnet = subnet_of(network, number)
        self._gateway = gateway_of(network, number)
        self._mtu = mtu
        self._mend = mend
        self._keep_published = keep_published or PublishedPorts(self._subnet).keep
        self._loop = Loop("bridge", self.cycle)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Leaves the network in place."""
        self._loop.stop()

    def wake(self) -> None:
        """Look now; from any thread."""
        self._loop.wake()

    def cycle(self) -> None:
        """Raises EngineError, EngineUnavailable, ApplianceError (no interface has the node's address)."""
        mtu = self._mtu()
        self._keep_published()
        self._engine.ensure_network(
            NetworkSettings(
                name=INSTANCE_NETWORK,
                bridge=INSTANCE_BRIDGE,
                subnet=str(self._subnet),
                gateway=self._gateway,
                mtu=mtu,
            )
        )
        self._mend(INSTANCE_BRIDGE, f"{self._gateway}/{self._subnet.prefixlen}", mtu)
