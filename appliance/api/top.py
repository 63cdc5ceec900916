"""What nodes and instances use now, beside what they have and were promised."""

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.rows import Row
from appliance.model.definition import part


def routes(context: Context) -> list[Route]:
    def top(call: Call) -> object:
        return {"nodes": node_usage(context), "instances": instance_usage(context, call.query.get("service", ""))}

    return [Route("GET", "/api/top", top)]


def node_usage(context: Context) -> list[Row]:
    """One row per node, by name; what has not been measured is None."""
    used, statuses = context.measurements.nodes(), context.state.node_status.all()
    rows = []
    for node in context.state.nodes.all().values():
        status, usage = statuses.get(node.id), used.get(node.id)
        facts = status.facts if status else None
        rows.append(
            {
                "node": node.name,
                "cpu": usage.cpu if usage else None,
                "cpu_total": facts.cpu if facts else 0,
                "memory": usage.memory if usage else None,
                "memory_total": facts.memory if facts else 0,
                "instances": len(usage.instances) if usage else 0,
            }
        )
    return sorted(rows, key=lambda row: str(row["node"]))


def instance_usage(context: Context, service: str = "") -> list[Row]:
    """One row per measured instance, the busiest first; `cpu_promised` and `memory_promised` are 0 for no promise."""
    state = context.state
    rows = []
    for name, usage in context.measurements.instances().items():
        instance, binding = state.instances.get(name), state.bindings.get(name)
        if instance is None or binding is None or (service and instance.service != service):
            continue
        node, revision = state.nodes.get(binding.node), state.revision(instance.service, instance.revision)
        deploy = part(revision.spec, instance.deploy) if revision else None
        promised = [container.resources for container in deploy.containers.values()] if deploy else []
        rows.append(
            {
                "instance": name,
                "node": node.name if node else binding.node,
                "cpu": usage.cpu,
                "cpu_promised": sum(each.cpu for each in promised),
                "memory": usage.memory,
                "memory_promised": sum(each.memory for each in promised),
                "metric": usage.metric,
            }
        )
    return sorted(rows, key=lambda row: (-int(row["cpu"]), str(row["instance"])))
