"""Services as names and published ports, Ingresses as entries."""

from collections.abc import Iterator, Mapping

from appliance.spec.converted import compact
from appliance.spec.foreign import Part
from appliance.spec.kubernetes.container import port_text
from appliance.spec.kubernetes.objects import Object
from appliance.spec.kubernetes.workloads import name_of
from appliance.spec.peer_names import Peer

_SERVICE = {
    "externalName": "write that name where it is used",
    "externalIPs": "a port is published on the node of the instance, or reached by an entry",
    "loadBalancerIP": "a port is published on the node of the instance, or reached by an entry",
    "sessionAffinity": "connections are not tied to an instance",
}
_PORT = {"appProtocol": "an entry speaks HTTP"}
_NEEDLESS = ("clusterIPs", "ipFamilies", "ipFamilyPolicy", "publishNotReadyAddresses", "allocateLoadBalancerNodePorts")

Deploys = Mapping[str, dict[str, object]]


def targets(service: Object, workloads: list[Object]) -> list[Object]:
    """Workloads whose pods a Service selects."""
    wanted = {name: value or "" for name, value in service.spec.pairs("selector").items()}
    return [each for each in workloads if wanted and wanted.items() <= each.labels.items()]


def peers(services: list[Object], workloads: list[Object], service: str) -> dict[str, Peer]:
    """Every name by which a Service, or an instance behind one, can be called."""
    found: dict[str, Peer] = {}
    for each in services:
        behind = targets(each, workloads)
        if not behind:
            continue
        namespace = each.part.part("metadata").text("namespace", "default")
        endings = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
        ports = {port: target for _, port, target in _ports(each.spec, behind[0])}
        deploy = name_of(behind[0])
        found |= {f"{each.name}{end}": Peer(f"{deploy}.{service}", ports) for end in endings}
        count = behind[0].spec.whole("replicas") if behind[0].kind == "StatefulSet" else 0
        for number in range(min(count or 1, 100) if behind[0].kind == "StatefulSet" else 0):
            one = Peer(f"{deploy}-{number}.{service}")
            found |= {f"{behind[0].name}-{number}.{each.name}{end}": one for end in endings}
    return found


def publish(service: Object, workloads: list[Object], deploys: Deploys) -> None:
    """Puts the Service's ports into the containers of the deploy that it selects."""
    spec = service.spec
    spec.advise(_SERVICE)
    spec.skip(*_NEEDLESS)
    if spec.text("clusterIP", "None") != "None":
        spec.note("a Service has no address of its own; clients call the name", "clusterIP")
    spec.ignore("every node answers alike", "internalTrafficPolicy", "externalTrafficPolicy")
    if spec.text("sessionAffinity", "None") != "None":
        spec.refuse(_SERVICE["sessionAffinity"], "sessionAffinity")
    kind, behind = spec.text("type", "ClusterIP"), targets(service, workloads)
    if kind == "ExternalName" or not behind:
        spec.refuse("no workload of these files has pods with these labels", "selector")
        return
    names = [name_of(each) for each in behind]
    if len(names) > 1:
        spec.refuse(f"one name for several deploys ({', '.join(names)}) does not exist; call {names[0]}", "selector")
    if service.name != names[0]:
        spec.note(f"{service.name} is called {names[0]}.SERVICE here")
    for port, number, target in _ports(spec, behind[0]):
        node_port = port.whole("nodePort")
        wanted = node_port if kind == "NodePort" else number if kind == "LoadBalancer" else None
        if kind != "ClusterIP" and wanted is None:
            port.note("a port is published under a number that is written; add publish: NUMBER")
        elif wanted is not None:
            port.note(f"published as {wanted} on the nodes where instances run, one instance a node")
        if number != target:
            port.note(f"clients reach the port {target} of the instances, not {number}")
        _open(deploys[names[0]], port, target, wanted)


def entries(ingress: Object, services: Mapping[str, Object], workloads: list[Object]) -> Iterator[dict[str, object]]:
    """One for each path. Every entry is reached under the addresses of the managers."""
    spec = ingress.spec
    spec.ignore("there is one entry, whatever its class", "ingressClassName")
    spec.ignore("a certificate is not brought over", "tls")
    if "defaultBackend" in spec:
        yield from _entry(spec.part("defaultBackend"), "", "/", services, workloads)
    for rule in spec.parts("rules"):
        for path in rule.part("http").parts("paths"):
            if path.text("pathType", "Prefix") == "Exact":
                path.note("requests below this path are taken as well", "pathType")
            place = path.text("path", "/")
            yield from _entry(path.part("backend"), rule.text("host"), place, services, workloads)


def _entry(
    backend: Part, host: str, path: str, services: Mapping[str, Object], workloads: list[Object]
) -> Iterator[dict[str, object]]:
    to = backend.part("service", {"resource": "only a Service can be reached"})
    service, port = services.get(to.text("name")), to.part("port")
    wanted = port.text("name") or port.text("number")
    behind = targets(service, workloads) if service else []
    if service is None or not behind:
        to.refuse("there is no Service of this name with pods in these files", "name")
        return
    for each, number, target in _ports(service.spec, behind[0]):
        if wanted in (each.text("name"), str(number)):
            yield compact({"host": host, "path": path if path != "/" else "", "to": f"{name_of(behind[0])}/{target}"})
            return
    port.refuse(f"the Service {service.name} has no port {wanted}")


def _ports(spec: Part, target: Object) -> list[tuple[Part, int, int]]:
    """The port's entry, its number and that of the container."""
    found = []
    for port in spec.parts("ports", _PORT):
        number = port.whole("port") or 0
        wanted = port.text("targetPort") or str(number)
        found.append((port, number, int(wanted) if wanted.isdecimal() else _named(target, wanted, port)))
    return found


def _named(target: Object, name: str, port: Part) -> int:
    spec = target.spec if target.kind == "Pod" else target.pod
    for container in spec.parts("containers"):
        for each in container.parts("ports"):
            if each.text("name") == name:
                return each.whole("containerPort") or 0
    port.refuse(f"the pods have no port {name}", "targetPort")
    return port.whole("port") or 0


def _open(deploy: dict[str, object], port: Part, target: int, wanted: int | None) -> None:
    """A port that no container lists is the first one's."""
    protocol = port.text("protocol", "TCP")
    containers = deploy.get("containers")
    if not isinstance(containers, dict):
        return
    for container in containers.values():
        for name, text in container.get("ports", {}).items():
            number, udp = (text["port"], text.get("protocol") == "udp") if isinstance(text, dict) else (text, False)
            if number == target and udp == (protocol == "UDP"):
                if wanted is not None:
                    container["ports"][name] = port_text(target, protocol, wanted)
                return
    first = next(iter(containers.values()))
    name = port.text("name") or f"{protocol.lower()}-{target}"
    first["ports"] = {**first.get("ports", {}), name: port_text(target, protocol, wanted)}
