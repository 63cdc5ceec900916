"""Single instances: restart, stop and start them where they are."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.progress import wanted_names
from appliance.api.services import current
from appliance.errors import NotFound, Refused
from appliance.model.service import ServiceHead


def routes(context: Context) -> list[Route]:
    def change(call: Call) -> object:
        return change_instance(context, f"{call.path['service']}/{call.path['instance']}", call.path["action"])

    return [Route("POST", "/api/instances/<service>/<instance>/<action:re:restart|stop|start>", change)]


def change_instance(context: Context, name: str, action: str) -> dict[str, object]:
    service = name.partition("/")[0]
    if service == "system":
        raise Refused("Sidecars are the appliance's own; they are kept running by each node.")
    head, revision = current(context, service)
    if name not in wanted_names(revision, head):
        raise NotFound(f"There is no instance called {name}.", next=f"see: appliance ps {service}")
    services = context.state.services
    context.commit([services.put(service, changed(head, name, action))], [services.unchanged(service)])
    return {"instance": name, "action": action}


def changed(head: ServiceHead, name: str, action: str) -> ServiceHead:
    """The head after `action` on the instance. Pure."""
    others = tuple(other for other in head.stopped if other != name)
    if action == "stop":
        return msgspec.structs.replace(head, stopped=(*others, name))
    if action == "start":
        return msgspec.structs.replace(head, stopped=others)
    return msgspec.structs.replace(head, restarts={**head.restarts, name: head.restarts.get(name, 0) + 1})
