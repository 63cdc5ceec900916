"""Why something is as it is: sentences, the one command that leads on, and the page of the manual that explains it."""

import msgspec

from appliance.api.job_rows import job_rows
from appliance.api.progress import progress
from appliance.api.revisions import in_effect
from appliance.api.rows import Row, instance_rows, node_rows
from appliance.errors import NotFound
from appliance.model.addresses import virtual_addresses
from appliance.orchestrator.explain import reasons
from appliance.orchestrator.virtual import deploys_with_address
from appliance.scheduler.inventory import Inventory
from appliance.scheduler.schedule import verdicts
from appliance.store.state import State

MOST = 10
"""Instances of a service that are named; the others fare alike."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """`nodes`: for an instance that waits for a node, each that will not do (`node`, `reason`). `page` is a page of the
    manual, as `appliance docs` takes it."""

    thing: str
    reasons: tuple[str, ...]
    next: str
    page: str
    nodes: tuple[dict[str, str], ...] = ()


def explain(state: State, thing: str) -> Explanation:
    """Of a service, an instance, a job (``shop/report``) or a node (name or id); raises NotFound."""
    for look in (_service, _node, _instance, _job):
        found = look(state, thing)
        if found is not None:
            return found
    raise NotFound(f"There is no service, instance, job or node called {thing}.", next="see: appliance ps")


def _service(state: State, name: str) -> Explanation | None:
    if state.services.get(name) is None:
        return None
    found = progress(state, name)
    said = dict.fromkeys([*reasons(state, name), *found.waiting[:MOST], *_without_address(state, name)])
    if not said:
        sentence = f"{name} is as wished: every instance runs and is ready."
        return Explanation(thing=name, reasons=(sentence,), next=f"appliance ps {name}", page="services")
    following = f"appliance history {name}" if found.failed else f"appliance ps {name}"
    return Explanation(thing=name, reasons=tuple(said), next=following, page="services/#rollouts")


def _without_address(state: State, name: str) -> list[str]:
    """Only once all are given away: for a moment after an apply the orchestrator has not chosen yet."""
    cluster, head = state.cluster(), state.services.get(name)
    revision = in_effect(state, head) if head else None
    taken = state.virtual.all()
    if cluster is None or revision is None or len(taken) < len(virtual_addresses(cluster.network)):
        return []
    left = sorted(deploys_with_address(revision.spec) - taken.keys())
    return [f"{deploy} has no stable address: all {len(taken)} are given away." for deploy in left]


def _node(state: State, name: str) -> Explanation | None:
    for node in node_rows(state):
        if name in (node["name"], node["id"]):
            message = f": {node['message']}" if node["message"] else ""
            said = (f"{node['name']} is {node['state']} since {node['since']}{message}.", *_closed(node))
            return Explanation(thing=name, reasons=said, next=f"appliance node show {node['name']}", page="nodes")
    return None


def _instance(state: State, name: str) -> Explanation | None:
    rows = [row for row in instance_rows(state, name.partition("/")[0]) if row["instance"] == name]
    if not rows:
        return None
    [row] = rows
    where = f" on {row['node']}" if row["node"] else ""
    since = f" since {row['since']}" if row["since"] else ""
    headline = f"{name} is {row['state']}{where}, {'ready' if row['ready'] else 'not ready'}{since}."
    said = [headline, *([row["message"]] if row["message"] else []), *_about(state, row)]
    following, page = _after(row)
    return Explanation(
        thing=name, reasons=tuple(said), next=following, page=page, nodes=tuple(refusing_nodes(state, name))
    )


def _about(state: State, row: Row) -> list[str]:
    """What holds the instance up that its own status does not say."""
    name, head = row["instance"], state.services.get(row["service"])
    refusal = state.refusals.get(name)
    said = []
    if row["state"] == "pending" and refusal and refusal.counts:
        counted = ", ".join(f"{count} by {filter_}" for filter_, count in refusal.counts.items())
        said.append(f"Nodes turned away: {counted}.")
    if row["state"] == "waiting":
        said.append(
            f"Its node was started; rank {row['rank']} starts once the lower ranks of {row['service']} are ready."
        )
    if head is not None and head.halted:
        said.append(f"{row['service']} is stopped as a whole: appliance start {row['service']}")
    elif head is not None and name in head.stopped:
        said.append(f"A person stopped it: appliance start {name}")
    if head is not None and name in head.heard and (heard := head.heard[name]).why:
        told = f"{heard.who} said {heard.action} on its node at {heard.at}, by that node's clock"
        said.append(f"{told}; not followed: {heard.why}.")
    return said


def _after(row: Row) -> tuple[str, str]:
    """The command that leads on from an instance's state, and the page."""
    name = row["instance"]
    match row["state"]:
        case "pending":
            return "appliance node ls", "placement"
        case "unreachable":
            return f"appliance why {row['node']}", "nodes"
        case "preparing":
            return "appliance image ls", "images"
        case "waiting" | "assigned":
            return f"appliance why {row['service']}", "services/#rollouts"
        case _:
            return f"appliance logs {name}", "jobs" if row["kind"] == "job" else "troubleshooting"


def _job(state: State, name: str) -> Explanation | None:
    service = name.partition("/")[0]
    rows = [row for row in job_rows(state, service) if row["job"] == name] if state.services.get(service) else []
    if not rows:
        return None
    [row] = rows
    said = [f"The job {name} ({row['type'] or 'no longer part of its service'}) is {row['state']}."]
    runs = [run for _, run in state.runs.below(f"{name}/")]
    if runs:
        last = runs[-1]
        code = f" with exit code {last.exit_code}" if last.exit_code is not None else ""
        why = f": {last.message}" if last.message else ""
        said.append(f"Its newest run, {last.name}, {last.outcome or 'has not ended'}{code}{why}")
    if row["next"]:
        said.append(f"It is due again at {row['next']}.")
    again = f"appliance job retry {name}" if row["state"] == "failed" else "appliance job ls"
    return Explanation(thing=name, reasons=tuple(said), next=again, page="jobs")


def refusing_nodes(state: State, thing: str) -> list[dict[str, str]]:
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
