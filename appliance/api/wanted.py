"""Which instances of a service should be there."""

from appliance.model.instance import instance_name
from appliance.model.service import Deploy, Revision, ServiceHead
from appliance.orchestrator.slots import slots
from appliance.store.state import State


def wanted_names(state: State, revision: Revision, head: ServiceHead) -> dict[str, Deploy]:
    """Instance → deploy, for every instance of a deploy that the revision asks for."""
    return {
        instance_name(revision.service, deploy, index): revision.spec.deploys[deploy]
        for deploy, indices in wanted_indices(state, revision, head).items()
        for index in indices
    }


def wanted_indices(state: State, revision: Revision, head: ServiceHead) -> dict[str, tuple[int, ...]]:
    """Deploy → indices of its instances."""
    nodes = state.nodes.all()
    return {
        name: tuple(slots(deploy, head, nodes, autoscaled(state, revision.service, name)))
        for name, deploy in revision.spec.deploys.items()
    }


def autoscaled(state: State, service: str, deploy: str) -> int | None:
    """The count that autoscaling found right; None when it has found none."""
    found = state.autoscale.get(f"{service}/{deploy}")
    return found.replicas if found else None
