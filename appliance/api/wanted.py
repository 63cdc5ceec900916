"""Which instances of a service should be there."""

from appliance.model.instance import instance_name
from appliance.model.service import Deploy, Revision, ServiceHead
from appliance.orchestrator.slots import slots
from appliance.store.state import State


def wanted_names(state: State, revision: Revision, head: ServiceHead) -> dict[str, Deploy]:
    """Instance → deploy, for every instance of a deploy that the revision asks for."""
    nodes = state.nodes.all()
    return {
        instance_name(revision.service, deploy.name, index): deploy
        for deploy in revision.spec.deploys.values()
        for index in slots(deploy, head, nodes, autoscaled(state, revision.service, deploy.name))
    }


def autoscaled(state: State, service: str, deploy: str) -> int | None:
    """The count that autoscaling found right; None when it has found none."""
    found = state.autoscale.get(f"{service}/{deploy}")
    return found.replicas if found else None
