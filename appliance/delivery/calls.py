"""Calls the hosts that join tokens name by their address, until each is a node: they may not call a manager."""

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from appliance.delivery.join_call import Proof, call
from appliance.delivery.joining import JoinAnswer, JoinRequest
from appliance.errors import ApplianceError
from appliance.loop import Loop
from appliance.model.cluster import LINK_PORT, JoinToken
from appliance.model.node import NodeStatus
from appliance.security.tokens import in_force
from appliance.store.state import State

log = logging.getLogger(__name__)

CALL_AGAIN = 1.0
"""Seconds between two rounds of calls."""
AT_ONCE = 16


class Calls:
    """A component. `clock` counts seconds since the epoch."""

    name = "calls"

    def __init__(
        self,
        state: State,
        proof: Proof,
        admit: Callable[[JoinRequest], JoinAnswer],
        clock: Callable[[], float],
        port: int = LINK_PORT,
    ) -> None:
        self._state = state
        self._proof = proof
        self._admit = admit
        self._clock = clock
        self._port = port
        self._said: dict[str, str] = {}
        self._loop = Loop("calls", self.cycle)

    def start(self) -> None:
        self._loop.follow(self._state.tokens.subscribe)
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def cycle(self) -> float | None:
        """Call every host that is still waited for, all at the same time."""
        addresses = waited_for(self._state.tokens.all().values(), self._state.node_status.all(), self._clock())
        self._said = {address: said for address, said in self._said.items() if address in addresses}
        if not addresses:
            return None
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="call") as threads:
            for address, said in zip(addresses, threads.map(self._call, addresses), strict=True):
                if self._said.get(address) != said:
                    log.info("call to %s to let it in: %s", address, said)
                self._said[address] = said
        return CALL_AGAIN

    def _call(self, address: str) -> str:
        """What came of it, for the log."""
        try:
            call((address, self._port), self._proof, self._admit)
        except (OSError, ValueError) as error:
            return f"nobody waits there: {error}"
        except ApplianceError as error:
            return f"refused: {error.what}"
        return "done"


def waited_for(tokens: Iterable[JoinToken], nodes: Mapping[str, NodeStatus], now: float) -> list[str]:
    """Addresses of hosts that are not yet nodes, or were let in and have not been heard of since. Pure."""
    due = (token for token in tokens if token.address and token.used_by not in nodes and in_force(token, now))
    return sorted({token.address for token in due})
