"""The site's time servers, which the managers' nodes follow."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.errors import Unavailable
from appliance.model.time_servers import parse_time_servers


class Servers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names or addresses; none is an answer too: the managers then keep the time among themselves."""

    servers: tuple[str, ...]


def routes(context: Context) -> list[Route]:
    def listing(_: Call) -> object:
        cluster = context.state.cluster()
        return {"servers": list(cluster.time_servers) if cluster else []}

    def change(call: Call) -> object:
        return set_servers(context, parse_time_servers(call.data(Servers).servers))

    return [
        Route("GET", "/api/time-servers", listing, summary="The site's time servers"),
        Route("POST", "/api/time-servers", change, summary="Set the site's time servers", body=Servers),
    ]


def set_servers(context: Context, servers: tuple[str, ...]) -> object:
    cell = context.state.cluster_cell
    expect, cluster = cell.unchanged(), cell.get()
    if cluster is None:
        raise Unavailable("The cluster is still being set up.", next="try again in a moment")
    changed = msgspec.structs.replace(cluster, time_servers=servers)
    context.commit([cell.put(changed)], [expect])
    return {"servers": list(servers)}
