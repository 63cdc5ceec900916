"""The cluster's certificates: who holds what for what purpose, and until when."""

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.rows import Row
from appliance.model.certificate import Validity
from appliance.model.moment import text_of_seconds
from appliance.security.ca import validity_of
from appliance.store.state import State

_FOR = {
    "authority": "signs all others but the link's",
    "host": "a node, towards managers",
    "user": "a manager, towards nodes",
    "etcd": "a member of etcd",
    "client": "a manager, towards etcd",
    "page": "a manager's page and API",
    "entry": "a host of the entry",
}


def routes(context: Context) -> list[Route]:
    def listing(_: Call) -> object:
        return certificate_rows(context.state, context.ca_pem, context.clock())

    return [Route("GET", "/api/certificates", listing, summary="Certificates, and when each is renewed")]


def certificate_rows(state: State, ca: str, now: float) -> list[Row]:
    """One row per certificate, those that end first on top. `now`: seconds since the epoch."""
    names = {node.id: node.name for node in state.nodes.all().values()}
    found = [("authority", "the cluster", validity_of(ca.encode()))]
    found += [(each.use, names[each.node], each.validity) for each in state.held.all().values() if each.node in names]
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
