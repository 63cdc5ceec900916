"""The cluster as a whole: is it well, what is there, and why is something not as wished."""

from appliance.api.call import Answer, Call, Route
from appliance.api.context import Context
from appliance.api.progress import progress
from appliance.api.rows import Row, cluster_status, etcd_state, instance_rows, node_rows
from appliance.errors import NotFound
from appliance.scheduler.inventory import Inventory
from appliance.scheduler.schedule import verdicts
from appliance.store.state import State


def routes(context: Context) -> list[Route]:
    def status(_: Call) -> object:
        return cluster_status(context.state, context.version, context.leader(), etcd_state(context.store))

    def instances(call: Call) -> object:
        service = call.query.get("service", "")
        if service and service != "system" and context.state.services.get(service) is None:
            raise NotFound(f"There is no service called {service}.", next="see: appliance ps")
        return instance_rows(context.state, service)

    def health(_: Call) -> object:
        return {"state": "up", "version": context.version, "revision": context.state.copy.revision}

    def authority(_: Call) -> object:
        return Answer(context.ca_pem, content_type="application/x-pem-file")

    def why(call: Call) -> object:
        thing = call.path["thing"]
        return {"thing": thing, "reasons": explain(context, thing), "nodes": refusing_nodes(context.state, thing)}

    return [
        Route("GET", "/api/status", status, summary="The cluster, its managers and nodes"),
        Route("GET", "/api/ps", instances, summary="Instances of one service or of all"),
        Route("GET", "/api/health", health, public=True, summary="Whether this manager answers"),
        Route("GET", "/api/ca", authority, public=True, summary="The certificate of the cluster's authority (PEM)"),
        Route("GET", "/api/why/<thing:path>", why, summary="Why something is as it is"),
    ]


def explain(context: Context, thing: str) -> list[str]:
    """Sentences about an instance, a service or a node; raises NotFound."""
    state = context.state
    if state.services.get(thing) is not None:
        waiting = progress(state, thing).waiting
        return list(waiting) or [f"{thing} is as wished: every instance runs and is ready."]
    for node in node_rows(state):
        if thing in (node["name"], node["id"]):
            message = f": {node['message']}" if node["message"] else ""
            return [f"{node['name']} is {node['state']} since {node['since']}{message}.", *_closed(node)]
    rows = [row for row in instance_rows(state, thing.partition("/")[0]) if row["instance"] == thing]
    if not rows:
        raise NotFound(f"There is no service, instance or node called {thing}.", next="see: appliance ps")
    row = rows[0]
    where = f" on {row['node']}" if row["node"] else ""
    headline = f"{thing} is {row['state']}{where}, {'ready' if row['ready'] else 'not ready'}"
    since = f" since {row['since']}" if row["since"] else ""
    return [f"{headline}{since}.", *([row["message"]] if row["message"] else [])]


def refusing_nodes(state: State, thing: str) -> list[Row]:
    """For an instance that waits for a node: each node that will not do, and why, by name."""
    inventory = Inventory(state)
    inventory.refresh()
    need = inventory.need(thing)
    if need is None:
        return []
    rooms = inventory.fleet.rooms
    found = [
        {"node": rooms[node].node.name, "reason": why} for node, why in verdicts(need, inventory.fleet).items() if why
    ]
    return sorted(found, key=lambda row: row["node"])


def _closed(node: Row) -> list[str]:
    name = node["name"]
    if node["evicted"]:
        return [
            f"{name} is evicted: what was bound to it is placed elsewhere. `appliance node uncordon` takes it back."
        ]
    if node["draining"]:
        return [f"{name} is being drained: its instances move to other nodes. See `appliance node drain {name}`."]
    return [f"{name} is cordoned: nothing new is placed on it."] if node["cordoned"] else []
