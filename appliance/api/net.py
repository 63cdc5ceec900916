"""The overlay between all nodes, measured by the nodes themselves when a person asks."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.nodes import find
from appliance.errors import ApplianceError
from appliance.link.messages import ProbeRequest
from appliance.model.measurement import Measurement
from appliance.model.node import NodeSpec, Peer
from appliance.network.diagnosis import troubles


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`nodes`: names or ids of those whose ways to and from all others are looked at; none of them : all."""

    nodes: tuple[str, ...] = ()


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """From one node to another. `latency_ms` is None without an answer; `size` and `wanted` in bytes of a packet."""

    source: str
    target: str
    ok: bool
    latency_ms: float | None
    size: int
    wanted: int
    stream: str
    troubles: tuple[dict[str, str], ...]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """`silent`: nodes that could not be asked, and why."""

    ok: bool
    ways: tuple[Way, ...]
    silent: tuple[dict[str, str], ...]


def routes(context: Context) -> list[Route]:
    def check(call: Call) -> object:
        return checked(context, call.data(Check))

    summary = "Measure the overlay between all nodes, or to and from some"
    return [Route("POST", "/api/net/check", check, summary=summary, body=Check, answers=Checked)]


def checked(context: Context, wish: Check) -> Checked:
    """Raises NotFound for a node that does not exist. Takes seconds, more where something is wrong."""
    nodes = context.state.nodes.all()
    chosen = {find(context, name).id for name in wish.nodes} or set(nodes)
    peers = tuple(peer for node in nodes.values() if (peer := _peer(context, node)) is not None)
    requests = {peer.node: _request(peer, peers, chosen) for peer in peers}
    answers = context.probe({node: request for node, request in requests.items() if request.peers})
    ways: list[Way] = []
    silent = [{"node": nodes[node].name, "why": "it is not part of the overlay yet"} for node in chosen - set(requests)]
    for node_id, answer in answers.items():
        if isinstance(answer, ApplianceError):
            silent.append({"node": nodes[node_id].name, "why": f"{answer.what} {answer.why}".strip()})
        else:
            ways += [_way(nodes, node_id, measured) for measured in answer if measured.node in nodes]
    ways.sort(key=lambda way: (way.source, way.target))
    return Checked(ok=not silent and all(way.ok for way in ways), ways=tuple(ways), silent=tuple(silent))


def _request(peer: Peer, peers: tuple[Peer, ...], chosen: set[str]) -> ProbeRequest:
    """To all others from a chosen node, to the chosen ones from any other."""
    return ProbeRequest(peers=tuple(one for one in peers if one != peer and {peer.node, one.node} & chosen))


def _way(nodes: dict[str, NodeSpec], source: str, measured: Measurement) -> Way:
    here, there = nodes[source].name, nodes[measured.node].name
    found = troubles(measured, here, there)
    return Way(
        source=here,
        target=there,
        ok=not found,
        latency_ms=None if measured.latency is None else round(measured.latency * 1000, 2),
        size=measured.size,
        wanted=measured.wanted,
        stream=measured.stream,
        troubles=tuple({"what": trouble.what, "next": trouble.next} for trouble in found),
    )


def _peer(context: Context, node: NodeSpec) -> Peer | None:
    status = context.state.node_status.get(node.id)
    if status is None or not status.vtep_mac:
        return None
    return Peer(node=node.id, number=node.number, address=node.address, vtep_mac=status.vtep_mac)
