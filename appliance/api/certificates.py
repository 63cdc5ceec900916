"""The cluster's certificates: who holds what for what purpose, and until when."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.rows import Row
from appliance.errors import NotFound, Refused
from appliance.model.certificate import RevokedKey, Validity
from appliance.model.moment import text_of_seconds
from appliance.model.node import NodeSpec
from appliance.security.ca import validity_of
from appliance.security.ssh import key_fingerprint
from appliance.store.state import State, held_certificates
from appliance.store.store import Put

_FOR = {
    "authority": "signs all others but the link's",
    "host": "a node, towards managers",
    "user": "a manager, towards nodes",
    "etcd": "a member of etcd",
    "client": "a manager, towards etcd",
    "page": "a manager's page and API",
    "entry": "a host of the entry",
}


class Stolen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`node`: name or id of the node whose keys nobody is to let in any more."""

    node: str


def routes(context: Context) -> list[Route]:
    def listing(_: Call) -> object:
        return certificate_rows(context.state, context.ca_pem(), context.clock())

    def revoke(call: Call) -> object:
        return revoke_node(context, call.data(Stolen).node)

    return [
        Route("GET", "/api/certificates", listing, summary="Certificates, and when each is renewed"),
        Route("POST", "/api/certificates/revoke", revoke, summary="Let in a node's keys no more", body=Stolen),
    ]


def revoke_node(context: Context, name: str) -> Row:
    """Refused for the only manager, and where nobody knows the node's key."""
    nodes = context.state.nodes.all().values()
    node = next((node for node in nodes if name in (node.name, node.id)), None)
    if node is None:
        raise NotFound(f"There is no node called {name}.", next="see: appliance node ls")
    if "manager" in node.roles and sum("manager" in other.roles for other in nodes) == 1:
        raise Refused(
            f"{node.name} is the only manager.",
            why="without it nobody could tell the nodes whom to believe instead",
            next="make another node a manager first",
            page="certificates#a-key-that-was-stolen",
        )
    revocations = revocations_of(context.state, node, text_of_seconds(context.clock(), "seconds"))
    if not revocations:
        raise Refused(f"Nobody knows the key of {node.name}: it has not been connected.", next="see: appliance node ls")
    context.commit(list(revocations.values()), [context.state.nodes.still(node.id, node)])
    return {"node": node.name, "revoked": sorted(revocations), "manager": "manager" in node.roles}


def revocations_of(state: State, node: NodeSpec, at: str) -> dict[str, Put]:
    """Fingerprint → what to write, of every key of the link that the node has. Pure."""
    known = {held.key for _, held in state.held.below(f"{node.id}/") if held.key}
    if node.ssh_key:
        known.add(key_fingerprint(node.ssh_key))
    keys = (RevokedKey(fingerprint=key, node=node.id, name=node.name, at=at) for key in known)
    return {key.fingerprint: state.revoked.put(key.fingerprint, key) for key in keys}


def certificate_rows(state: State, ca: str, now: float) -> list[Row]:
    """One row per certificate, those that end first on top. `now`: seconds since the epoch."""
    names = {node.id: node.name for node in state.nodes.all().values()}
    found = [("authority", "the cluster", validity_of(ca.encode()))]
    found += [(each.use, names[each.node], each.validity) for each in held_certificates(state)]
    for issued in state.certificates.all().values():
        found.append(("entry", issued.host or "any host", validity_of(issued.certificate.encode())))
    return [_row(*each, now) for each in sorted(found, key=lambda each: each[2].over)]


def certificate_summary(rows: list[Row]) -> Row:
    """`next`: the one that ends first; `late`: those that should have been renewed by now."""
    return {"next": rows[0], "late": [row for row in rows if row["state"] != "valid"]}


def _row(kind: str, of: str, good: Validity, now: float) -> Row:
    state = "expired" if good.over < now else "late" if good.is_late(now) else "valid"
    return {
        "kind": kind,
        "of": of,
        "for": _FOR[kind],
        "valid_until": text_of_seconds(good.over, "seconds"),
        # Nobody renews the authority by itself: every node has to learn the new one first.
        "renews_at": "" if kind == "authority" else text_of_seconds(good.renewal, "seconds"),
        "state": state,
    }
