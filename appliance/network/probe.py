"""Measures the overlay from this node to others: who answers, how large packets may be, and whether TCP passes.

Nothing has to listen for it but what every node has anyway: kernels answer echo requests, and the name server takes
TCP connections at the address of the node's bridge.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from appliance.model.addresses import gateway_of
from appliance.model.measurement import Measurement, Stream
from appliance.model.node import Peer
from appliance.network.echo import Echo

ROUNDS = 3
PATIENCE = 1.0
"""Seconds to wait for echoes."""
_STREAM_PATIENCE = 2.0
_SMALL = 84
"""Bytes of a usual ping."""
_NAMES_PORT = 53


class Probe:
    """`mtu` gives that of the overlay here, `missing` what the kernel lacks for a peer (by its node's id).

    `asks_hosts`: False on a node that may begin nothing outside the overlay.
    """

    def __init__(
        self,
        network: str,
        node: str,
        mtu: Callable[[], int],
        missing: Callable[[tuple[Peer, ...]], Mapping[str, tuple[str, ...]]],
        *,
        asks_hosts: bool,
    ) -> None:
        self._network = network
        self._node = node
        self._mtu = mtu
        self._missing = missing
        self._asks_hosts = asks_hosts

    def measure(self, peers: Iterable[Peer]) -> tuple[Measurement, ...]:
        """Of each peer but this node itself, all at the same time. Raises ApplianceError where nothing can be asked."""
        others = tuple(peer for peer in peers if peer.node != self._node)
        inside = {peer.node: gateway_of(self._network, peer.number) for peer in others}
        wanted, lacking = self._mtu(), self._missing(others)
        with Echo() as echo:
            hosts = set(_latencies(echo, [peer.address for peer in others])) if self._asks_hosts else None
            latencies = _latencies(echo, list(inside.values()))
            sizes = largest(echo.ask, list(latencies), wanted)
        streams = _streams(list(latencies))
        return tuple(
            Measurement(
                node=peer.node,
                host=None if hosts is None else peer.address in hosts,
                overlay=address in latencies,
                latency=latencies.get(address),
                size=sizes.get(address, 0),
                wanted=wanted,
                stream=streams.get(address, "untried"),
                missing=lacking.get(peer.node, ()),
            )
            for peer, address in ((peer, inside[peer.node]) for peer in others)
        )


def _latencies(echo: Echo, addresses: list[str]) -> dict[str, float]:
    """The fastest answer of each that answers at all."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for address, seconds in echo.ask(dict.fromkeys(addresses, _SMALL), PATIENCE).items():
            best[address] = min(seconds, best.get(address, seconds))
    return best


def largest(
    ask: Callable[[Mapping[str, int], float], Mapping[str, float]], addresses: list[str], wanted: int
) -> dict[str, int]:
    """Address → bytes of the largest packet up to `wanted` that is answered; all are halved at the same time."""
    low, high = dict.fromkeys(addresses, _SMALL), dict.fromkeys(addresses, wanted + 1)
    trying = dict.fromkeys(addresses, wanted)
    while trying:
        # Twice, since one packet may be lost for any reason.
        answered = set(ask(trying, PATIENCE))
        left = {address: size for address, size in trying.items() if address not in answered}
        answered |= set(ask(left, PATIENCE)) if left else set()
        for address, size in trying.items():
            (low if address in answered else high)[address] = size
        trying = {a: (low[a] + high[a]) // 2 for a in trying if high[a] - low[a] > 1}
    return low


def _streams(addresses: list[str]) -> dict[str, Stream]:
    with ThreadPoolExecutor(16, "probe") as threads:
        return dict(zip(addresses, threads.map(_stream, addresses), strict=True))


def _stream(address: str) -> Stream:
    try:
        with socket.create_connection((address, _NAMES_PORT), timeout=_STREAM_PATIENCE):
            return "passes"
    except ConnectionRefusedError:
        return "passes"  # an answer, as good as any
    except OSError:
        return "silent"
