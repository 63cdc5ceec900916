"""A set of Kubernetes manifests as one service: workloads, their settings and how they are reached."""

from collections.abc import Mapping, Sequence

from appliance.errors import Problem, SpecInvalid
from appliance.spec.converted import Converted, compact, write_service
from appliance.spec.foreign import Findings
from appliance.spec.kubernetes.autoscale import autoscale, scaled
from appliance.spec.kubernetes.network import entries, peers, publish
from appliance.spec.kubernetes.objects import WORKLOADS, Object, read_objects
from appliance.spec.kubernetes.surroundings import Surroundings
from appliance.spec.kubernetes.workloads import deploy, job, name_of
from appliance.spec.peer_names import PeerNames

_JOBS = ("Job", "CronJob")
_RUNNING = tuple(kind for kind in WORKLOADS if kind not in _JOBS)


def convert(text: str, file: str, name: str, environment: Mapping[str, str]) -> Converted:
    """The service `name` that does what the manifests of one file say. Raises SpecInvalid for what is no manifest.

    `environment` is not used: nothing of a manifest depends on it.
    """
    return convert_all([(text, file)], name)


def convert_all(texts: Sequence[tuple[str, str]], name: str) -> Converted:
    """The same of several files, each as its text and its name."""
    findings = Findings()
    objects = read_objects(texts, findings)
    workloads = [each for each in objects if each.kind in WORKLOADS]
    if not workloads and not findings.unsupported:
        file = texts[0][1] if texts else ""
        raise SpecInvalid([Problem(f"there is nothing to run: no {', '.join(WORKLOADS)}", file=file)])
    written = write_service(_service(objects, workloads, name))
    findings.name_leftovers()
    return Converted(written, *findings.in_order())


def _service(objects: list[Object], workloads: list[Object], name: str) -> dict[str, object]:
    services = _by_name(objects, "Service")
    autoscalers = {scaled(each): each for each in objects if each.kind == "HorizontalPodAutoscaler"}
    around = Surroundings(
        service=name,
        peers=PeerNames(peers(list(services.values()), workloads, name)),
        pods={each.name: each.labels for each in workloads if each.kind in _RUNNING},
        scaled=frozenset(autoscalers),
        config_maps=_by_name(objects, "ConfigMap"),
        secrets=_by_name(objects, "Secret"),
        claims=_by_name(objects, "PersistentVolumeClaim"),
    )
    _same_names(workloads)
    deploys = {name_of(each): deploy(each, around) for each in workloads if each.kind in _RUNNING}
    jobs = {name_of(each): job(each, around) for each in workloads if each.kind in _JOBS}
    running = [each for each in workloads if each.kind in _RUNNING]
    for each in services.values():
        publish(each, running, deploys)
    _scale(autoscalers, running, deploys)
    ways = [entry for each in objects if each.kind == "Ingress" for entry in entries(each, services, running)]
    _settings(around)
    return {
        "service": name,
        **compact(
            {
                "configs": around.files.found,
                "secrets": [*around.needed_secrets],
                "deploys": deploys,
                "jobs": jobs,
                "entry": ways,
            }
        ),
    }


def _by_name(objects: list[Object], kind: str) -> dict[str, Object]:
    found: dict[str, Object] = {}
    for each in objects:
        if each.kind == kind and each.name in found:
            each.part.refuse(f"there are two of this name: a {kind} {each.name} of another namespace, or a repetition")
        elif each.kind == kind:
            found[each.name] = each
    return found


def _same_names(workloads: list[Object]) -> None:
    seen: dict[str, Object] = {}
    for each in workloads:
        other = seen.setdefault(name_of(each), each)
        if other is not each:
            each.part.refuse(f"a deploy or job has a name of its own, and {other.kind}/{other.name} has this one")


def _scale(autoscalers: Mapping[str, Object], running: list[Object], deploys: Mapping[str, dict[str, object]]) -> None:
    by_name = {each.name: each for each in running}
    for target, autoscaler in autoscalers.items():
        wish = autoscale(autoscaler)
        if target in by_name:
            # The order of the manual: after what concerns the pace, before the placement.
            fields = deploys[name_of(by_name[target])]
            later = {key: fields.pop(key) for key in list(fields) if key in _AFTER_AUTOSCALE}
            fields |= {"autoscale": wish, **later}
        else:
            autoscaler.spec.refuse("there is no such Deployment or StatefulSet in these files", "scaleTargetRef")


_AFTER_AUTOSCALE = ("placement", "pre", "after_start", "before_stop", "volumes", "containers")


def _settings(around: Surroundings) -> None:
    """ConfigMaps and Secrets that nothing uses are left out; what others hold was put where it is used."""
    used = around.used_maps | set(around.needed_secrets.values())
    for name, each in [*around.config_maps.items(), *around.secrets.items()]:
        each.part.skip("immutable", "type")
        for field in ("data", "stringData"):
            data = each.part.part(field)
            data.skip(*data.fields())
        if name not in used:
            each.part.note("nothing of these files uses it; left out")
