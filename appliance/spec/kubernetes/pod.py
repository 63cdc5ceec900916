"""A pod's spec as the part of a deploy that says what runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.spec.converted import compact, label
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import seconds
from appliance.spec.kubernetes.container import container
from appliance.spec.kubernetes.environment import environment, words
from appliance.spec.kubernetes.objects import Object
from appliance.spec.kubernetes.placement import placement
from appliance.spec.kubernetes.probes import after_start, before_stop
from appliance.spec.kubernetes.surroundings import Surroundings
from appliance.spec.kubernetes.volumes import Mounts, PodVolumes, mounted, pod_volumes

_CONTAINER = {"resizePolicy": "a change restarts it", "volumeDevices": "a volume is a folder"}
_STEP = {"securityContext": "a step runs as the container does whose environment and volumes it gets"}
POD = {
    "dnsConfig": "names are answered by the node",
    "hostAliases": "the names of instances are in /etc/hosts; give the address in a variable",
    "hostIPC": "a container sees its own deploy",
    "hostPID": "a container sees its own processes",
    "shareProcessNamespace": "a container sees its own processes",
    "runtimeClassName": "for GPUs write resources: {gpu: 1}",
    "readinessGates": "an instance is ready when its probes say so",
    "schedulerName": "there is one scheduler",
    "activeDeadlineSeconds": "only a job's try has a timeout",
    "hostname": "an instance has its own name",
    "subdomain": "an instance has its own name",
}


@dataclass(frozen=True)
class Pod:
    """In the order of a deploy's fields. `restart` is the pod's own policy, ``Always`` unless it says otherwise."""

    fields: dict[str, object]
    containers: dict[str, dict[str, object]]
    restart: str


@dataclass(frozen=True)
class _Containers:
    """`to`: container → how configs name it."""

    volumes: PodVolumes
    containers: dict[str, dict[str, object]] = field(default_factory=dict)
    to: dict[str, str] = field(default_factory=dict)


def read_pod(workload: Object, templates: list[Part], replicated: bool, around: Surroundings) -> Pod:
    """`templates`: claims of a StatefulSet. `replicated`: there may be several instances."""
    spec = workload.spec if workload.kind == "Pod" else workload.pod
    _harmless(spec)
    volumes = pod_volumes(spec, workload.name, templates, replicated, around)
    helpers = [each for each in spec.parts("initContainers", _STEP) if each.text("restartPolicy") == "Always"]
    parts = [*helpers, *spec.parts("containers", _CONTAINER)]
    for helper in helpers:
        helper.note("it starts together with the other containers, not before them", "restartPolicy")
    owner, found = label(workload.name), _Containers(volumes)
    for part in parts:
        name = label(part.text("name")) or "main"
        found.to[name] = owner if len(parts) == 1 else f"{owner}/{name}"
        mounts = mounted(part, volumes, found.to[name], around)
        found.containers[name] = container(part, spec, workload.name, workload.labels, mounts, around)
    steps = [each for each in spec.parts("initContainers") if each not in helpers]
    grace = spec.whole("terminationGracePeriodSeconds")
    fields = {
        "network": "host" if spec.flag("hostNetwork") else "",
        "stop_grace": seconds(30 if grace is None else grace),
        "placement": placement(spec, workload.name, around),
        "pre": [_step(each, found, workload.labels, around) for each in steps],
        "after_start": [hook for part in parts for hook in after_start(part)],
        "before_stop": [hook for part in parts for hook in before_stop(part)],
        "volumes": volumes.folders,
    }
    return Pod(compact(fields), found.containers, spec.text("restartPolicy", "Always"))


def _harmless(spec: Part) -> None:
    spec.ignore("images are loaded before: `appliance image load`", "imagePullSecrets")
    spec.ignore("containers do not talk to the appliance's API", "serviceAccountName", "serviceAccount")
    spec.ignore("containers do not talk to the appliance's API", "automountServiceAccountToken")
    spec.ignore("write the deploy's priority, a number", "priorityClassName", "priority", "preemptionPolicy")
    spec.ignore("addresses of others are not put into the environment", "enableServiceLinks")
    if spec.text("dnsPolicy", "ClusterFirst") not in ("ClusterFirst", "ClusterFirstWithHostNet"):
        spec.refuse("names are answered by the node", "dnsPolicy")
    security = spec.part("securityContext")
    security.ignore("volumes belong to the user that the container runs as", "fsGroupChangePolicy")


def _step(part: Part, pod: _Containers, labels: Mapping[str, str], around: Surroundings) -> dict[str, object]:
    """A step gets the environment and volumes of a container of the pod: that of its image, or else the first."""
    image = part.text("image")
    same = next((name for name, each in pod.containers.items() if each.get("image") == image), "")
    base = same or next(iter(pod.containers), "")
    part.skip("name")
    part.ignore("a step is not held to anything", "resources")
    part.ignore("images come from the bundle or `appliance image load`", "imagePullPolicy")
    env = environment(part, labels, around)
    mounts = mounted(part, pod.volumes, pod.to[base], around) if base else Mounts()
    for name, own in (("env", env), ("volumes", mounts.inside), ("secrets", mounts.secrets)):
        _share(part, name, own, base, pod.containers.get(base, {}))
    if "command" not in part:
        part.refuse("a step needs its command: the image's own is not looked at")
    run = [*(words(part, "command", env, around) or []), *(words(part, "args", env, around) or [])]
    return compact({"run": run, "container": same, "image": "" if same else image})


def _share(part: Part, kind: str, own: Mapping[str, object], base: str, container: dict[str, object]) -> None:
    """What the step needs and its container has not is given to the container; what differs is a problem."""
    theirs = container.get(kind, {})
    assert isinstance(theirs, dict)
    for name, value in own.items():
        if theirs.get(name, value) != value:
            part.refuse(f"{name} of the {kind} differs from the container {base}'s, and a step has the same")
        elif name not in theirs:
            part.note(f"{name} was added to the {kind} of the container {base}, since a step has the same")
    if own:
        container[kind] = {**own, **theirs}
