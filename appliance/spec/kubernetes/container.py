"""One container of a pod."""

from collections.abc import Mapping

from appliance.spec.converted import compact, label
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import cores, kubernetes_quantity, size
from appliance.spec.kubernetes.environment import environment, words
from appliance.spec.kubernetes.probes import health
from appliance.spec.kubernetes.surroundings import Surroundings
from appliance.spec.kubernetes.volumes import Mounts

_NAMES = {("TCP", 80): "http", ("TCP", 443): "https"}
_SECURITY = {
    "allowPrivilegeEscalation": "the image has to be without programs that raise privileges",
    "seccompProfile": "the engine's usual profile applies",
    "runAsNonRoot": "say runAsUser",
    "fsGroup": "the folder of a volume belongs to root; run a step (pre) that gives it to the user",
    "procMount": "the engine's usual one applies",
}
_NO_LIMIT = (
    "left out, since here what is promised is also the limit; if it is enough for that, write it under resources"
)
_GPU = "nvidia.com/gpu"


def container(
    part: Part, pod: Part, owner: str, labels: Mapping[str, str], mounts: Mounts, around: Surroundings
) -> dict[str, object]:
    """In the order of the manual. `owner` is the workload, `pod` its pod's spec, `mounts` what the container mounts."""
    env = environment(part, labels, around)
    security = part.part("securityContext", _SECURITY)
    capabilities = security.part("capabilities", {"drop": "an instance has the engine's usual capabilities"})
    part.ignore("images come from the bundle or `appliance image load`", "imagePullPolicy")
    part.ignore("how a container ended is told by its log", "terminationMessagePath", "terminationMessagePolicy")
    part.ignore("a container has no terminal; use `appliance exec`", "tty", "stdin", "stdinOnce")
    if not part.text("image"):
        part.refuse("the container has no image")
    return compact(
        {
            "image": part.text("image"),
            "entrypoint": words(part, "command", env, around),
            "command": words(part, "args", env, around),
            "user": _user(security, pod.part("securityContext", _SECURITY)),
            "workdir": part.text("workingDir"),
            "env": env,
            "secrets": mounts.secrets,
            "ports": _ports(part),
            "volumes": mounts.inside,
            "capabilities": capabilities.texts("add"),
            "privileged": security.flag("privileged") or None,
            "read_only": security.flag("readOnlyRootFilesystem") or None,
            "resources": _resources(part.part("resources"), owner in around.scaled),
            "health": health(part),
        }
    )


def _user(own: Part, pods: Part) -> str:
    for part in (own, pods):
        if part.part("seccompProfile").text("type", "RuntimeDefault") != "RuntimeDefault":
            part.refuse(_SECURITY["seccompProfile"], "seccompProfile")
        if part.flag("allowPrivilegeEscalation") is False:
            part.refuse(_SECURITY["allowPrivilegeEscalation"], "allowPrivilegeEscalation")
    user = own.text("runAsUser") or pods.text("runAsUser")
    group = own.text("runAsGroup") or pods.text("runAsGroup")
    for part in (own, pods):
        if part.flag("runAsNonRoot") and (not user or user == "0"):
            part.refuse(f"runAsNonRoot is not supported: {_SECURITY['runAsNonRoot']}", "runAsNonRoot")
    return f"{user or '0'}:{group}" if group else user


def _ports(part: Part) -> dict[str, object]:
    found: dict[str, object] = {}
    for port in part.parts("ports", {"hostIP": "a port is published on the address of the node"}):
        number, protocol, publish = port.whole("containerPort"), port.text("protocol", "TCP"), port.whole("hostPort")
        if number is None or protocol not in ("TCP", "UDP"):
            port.refuse("a port has a number and the protocol TCP or UDP")
            continue
        name = label(port.text("name")) or _NAMES.get((protocol, number)) or f"{protocol.lower()}-{number}"
        found[name] = port_text(number, protocol, publish)
    return found


def port_text(number: int, protocol: str, publish: int | None) -> object:
    """In the short form where that says it all."""
    if protocol == "TCP" and publish is None:
        return number
    udp = "udp" if protocol == "UDP" else ""
    return compact({"port": number, "protocol": udp, "publish": publish})


def _resources(part: Part, scaled: bool) -> dict[str, object]:
    """Limits; a request alone is not one. Where the number of instances follows the load there must be a promise."""
    limits, requests = part.part("limits"), part.part("requests")
    found: dict[str, object] = {}
    for key in ("cpu", "memory"):
        limit, request = _amount(limits, key), _amount(requests, key)
        if limit:
            found[key] = limit
            if request and request != limit:
                requests.note("here what is promised is also the limit: the limit is used for both", key)
        elif request and scaled:
            found[key] = request
            requests.note("what is promised is also the limit here, and autoscaling needs it: raise it if needed", key)
        elif request:
            requests.note(_NO_LIMIT, key)
    for each in (limits, requests):
        each.ignore("the size of a container's own files is not limited", "ephemeral-storage")
    gpus = limits.whole(_GPU) or requests.whole(_GPU)
    requests.take(_GPU)
    return compact({**found, "gpu": gpus})


def _amount(part: Part, key: str) -> str | int | None:
    text = part.text(key)
    try:
        quantity = kubernetes_quantity(text) if text else None
    except ValueError as error:
        part.refuse(str(error), key)
        return None
    if quantity is None:
        return None
    return cores(quantity) if key == "cpu" else size(int(quantity))
