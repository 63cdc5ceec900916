"""Who is where, worked out from the state. Pure."""

from appliance.model.directory import DeployNames, Directory, Endpoint, NamedPort, Policy
from appliance.model.service import Deploy, Revision, Service, revision_in_effect
from appliance.store.state import State


def directory(state: State) -> Directory:
    """All instances with an address of their own, the deploys in effect and the isolated services."""
    services = {name: spec for name in state.services.all() if (spec := in_effect(state, name)) is not None}
    return Directory(
        endpoints=_endpoints(state),
        deploys={
            f"{service}/{deploy.name}": _names(state, service, deploy)
            for service, spec in services.items()
            for deploy in spec.deploys.values()
            if not deploy.host_network
        },
        policies={service: Policy(allow=spec.allow) for service, spec in services.items() if spec.isolate},
    )


def in_effect(state: State, service: str) -> Service | None:
    """The spec that the service's instances are to have; None while this manager does not know it."""
    revision = revision_of(state, service)
    return revision.spec if revision else None


def revision_of(state: State, service: str) -> Revision | None:
    """The revision that the service's instances are to have; None while this manager does not know it."""
    head = state.services.get(service)
    wanted = state.revision(service, head.revision) if head else None
    if head is None or wanted is None:
        return None
    number = revision_in_effect(head, state.rollouts.get(service), wanted.spec)
    return wanted if number == wanted.number else state.revision(service, number)


def _endpoints(state: State) -> dict[str, Endpoint]:
    """An instance on a node that cannot be reached is still there, and counts as not ready."""
    reached = {node for node, status in state.node_status.all().items() if status.state == "ready"}
    statuses, found = state.instance_status.all(), {}
    instances = state.instances.all()
    for name, binding in state.bindings.all().items():
        instance, status = instances.get(name), statuses.get(name)
        if instance is None or not binding.ip:
            continue
        serves = status is not None and status.node == binding.node and status.state == "running" and status.ready
        found[name] = Endpoint(
            instance=name,
            service=instance.service,
            deploy=instance.deploy,
            index=instance.index,
            ip=binding.ip,
            node=binding.node,
            ready=serves and binding.node in reached,
        )
    return found


def _names(state: State, service: str, deploy: Deploy) -> DeployNames:
    virtual = state.virtual.get(f"{service}/{deploy.name}")
    ports = [
        NamedPort(name=name, port=port.port, protocol=port.protocol)
        for container in deploy.containers.values()
        for name, port in container.ports.items()
    ]
    return DeployNames(virtual=virtual.ip if virtual else "", ports=tuple(ports))
