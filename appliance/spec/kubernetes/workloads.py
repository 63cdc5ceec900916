"""Deployments, StatefulSets, DaemonSets and Pods as deploys, Jobs and CronJobs as jobs."""

from appliance.spec.converted import compact, label
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import seconds
from appliance.spec.kubernetes.objects import Object
from appliance.spec.kubernetes.pod import POD, read_pod
from appliance.spec.kubernetes.surroundings import Surroundings

_RESTARTS = {"Always": "", "OnFailure": "on-failure", "Never": "never"}
_JOB = {
    "podFailurePolicy": "a job of type normal is repeated whatever the exit code",
    "backoffLimitPerIndex": "all instances of a run count together",
    "successPolicy": "a run has succeeded when all its instances have",
    "suspend": "leave the job out, or cancel its run",
    "completionMode": "every instance of a run knows its ${instance.index}",
}
_CRON = {"suspend": "leave the job out until it is wanted"}
_OVERLAPS = {"Allow": "allow", "Forbid": "skip", "Replace": "replace"}


def deploy(workload: Object, around: Surroundings) -> dict[str, object]:
    """In the order of the manual."""
    spec = workload.spec
    pod_spec = spec if workload.kind == "Pod" else workload.pod
    pod_spec.advise(POD)
    _template(workload)
    count: dict[str, object] = {}
    templates: list[Part] = []
    if workload.kind == "DaemonSet":
        count = {"scale": "every-node"}
    elif workload.kind != "Pod":
        replicas = spec.whole("replicas")
        count = {"replicas": replicas if replicas != 1 else None}
        if workload.name in around.scaled:
            count = {}
    if workload.kind == "StatefulSet":
        templates = spec.parts("volumeClaimTemplates")
        _stateful(spec)
    several = workload.kind == "DaemonSet" or workload.name in around.scaled or (count.get("replicas") or 1) != 1
    pod = read_pod(workload, templates, several, around)
    ready = spec.whole("minReadySeconds") if workload.kind != "Pod" else None
    spec.ignore("revisions are kept by the service", "revisionHistoryLimit")
    if spec.flag("paused"):
        spec.refuse("a rollout is paused by hand after it was applied", "paused")
    containers = {name: _restarted(each, _RESTARTS.get(pod.restart, "")) for name, each in pod.containers.items()}
    network = {"network": pod.fields.pop("network", "")}
    pace = {"max_unavailable": _unavailable(workload), "min_ready": seconds(ready) if ready else ""}
    return compact({**count, **network, **pace, **pod.fields, "containers": containers})


def job(workload: Object, around: Surroundings) -> dict[str, object]:
    """A Job runs once for each revision that changes it, a CronJob by its schedule."""
    workload.pod.advise(POD)
    _template(workload)
    cron = workload.kind == "CronJob"
    spec = workload.spec.part("jobTemplate").part("spec") if cron else workload.spec
    if cron:
        workload.spec.part("jobTemplate").part("metadata").ignore("not kept", "labels", "annotations", "name")
    schedule = _schedule(workload.spec) if cron else {}
    pod = read_pod(workload, [], True, around)
    limit = spec.whole("backoffLimit")
    retries = 6 if limit is None else limit
    fields = {
        "type": "normal" if retries else "once",
        **schedule,
        **_runs(spec),
        "retries": retries if retries not in (0, 6) else None,
        "stop_grace": pod.fields.pop("stop_grace"),
        "require": _requirements(pod.fields.pop("placement", None), workload),
        "container": _only(pod.containers, workload),
    }
    for name in pod.fields:
        workload.pod.refuse(f"a job has no {name}: make it part of the container, or of a deploy")
    return compact(fields)


def _template(workload: Object) -> None:
    """Labels of pods only serve to find them, and the selector repeats them."""
    if workload.kind == "Pod":
        return
    workload.spec.advise(_CRON if workload.kind == "CronJob" else {})
    spec = workload.spec.part("jobTemplate").part("spec") if workload.kind == "CronJob" else workload.spec
    spec.take("selector")
    metadata = spec.part("template").part("metadata")
    metadata.ignore("annotations are not kept", "annotations")
    metadata.skip("name", "namespace", "creationTimestamp")


def _unavailable(workload: Object) -> object:
    """Theirs goes up before it goes down; ours keeps an instance's name and address and so first stops it."""
    if workload.kind == "Pod":
        return None
    spec = workload.spec
    deadline = spec.whole("progressDeadlineSeconds")
    if deadline:
        spec.note(f"for the whole service: rollout: {{deadline: {seconds(deadline)}}}", "progressDeadlineSeconds")
    strategy = spec.part("strategy" if workload.kind == "Deployment" else "updateStrategy")
    kind, rolling = strategy.text("type", "RollingUpdate"), strategy.part("rollingUpdate")
    rolling.ignore("an instance keeps its name and address, so the old one stops before the new one starts", "maxSurge")
    if rolling.whole("partition"):
        rolling.refuse("an update reaches all instances", "partition")
    if kind == "OnDelete":
        strategy.refuse("an update reaches all instances by itself", "type")
    if kind == "Recreate":
        return "100%"
    text = rolling.text("maxUnavailable")
    if workload.kind == "Deployment":
        return None if text in ("", "25%") else int(text) if text.isdecimal() else text
    return int(text) if text.isdecimal() else text or 1


def _stateful(spec: Part) -> None:
    spec.take("serviceName")
    if spec.text("podManagementPolicy", "OrderedReady") == "OrderedReady":
        spec.note("the instances of a deploy start together; an order is made by ranks of several deploys")
    retention = spec.part("persistentVolumeClaimRetentionPolicy")
    for key in retention.fields():
        if retention.text(key) != "Retain":
            retention.refuse("data is kept; leave keep out of the volume to lose it with the instance", key)


def _restarted(container: dict[str, object], policy: str) -> dict[str, object]:
    return {**container, "restart": policy} if policy else container


def _schedule(spec: Part) -> dict[str, object]:
    overlap = spec.text("concurrencyPolicy", "Allow")
    if overlap not in _OVERLAPS:
        spec.refuse("it is Allow, Forbid or Replace", "concurrencyPolicy")
    if spec.flag("suspend") is not False and "suspend" in spec:
        spec.refuse(f"suspend is not supported: {_CRON['suspend']}", "suspend")
    spec.ignore("a run that was missed is skipped; or write missed: run", "startingDeadlineSeconds")
    kept = [spec.whole("successfulJobsHistoryLimit"), spec.whole("failedJobsHistoryLimit")]
    zone = spec.text("timeZone")
    if not zone:
        spec.note("the schedule is in UTC; say the zone if another is meant", "schedule")
    return {
        "schedule": spec.text("schedule"),
        "zone": zone,
        "overlap": _OVERLAPS.get(overlap, "allow"),
        "keep": max((count for count in kept if count is not None), default=None),
    }


def _runs(spec: Part) -> dict[str, object]:
    spec.advise(_JOB)
    spec.ignore("ended runs are kept by count: keep", "ttlSecondsAfterFinished")
    spec.ignore("it only helps Kubernetes find its pods", "manualSelector")
    if spec.flag("suspend") is not False and "suspend" in spec:
        spec.refuse(f"suspend is not supported: {_JOB['suspend']}", "suspend")
    if spec.text("completionMode", "NonIndexed") != "NonIndexed":
        spec.refuse(f"completionMode is not supported: {_JOB['completionMode']}", "completionMode")
    spec.ignore("a try ends before the next starts", "podReplacementPolicy")
    parallel, completions = spec.whole("parallelism") or 1, spec.whole("completions")
    if completions not in (None, parallel):
        spec.refuse(
            f"all instances of a run start together: completions must equal parallelism ({parallel})", "completions"
        )
    deadline = spec.whole("activeDeadlineSeconds")
    if deadline:
        spec.note("it ends each try, not all of them together", "activeDeadlineSeconds")
    return {"timeout": seconds(deadline) if deadline else "", "parallelism": parallel if parallel != 1 else None}


def _requirements(placement: object, workload: Object) -> object:
    fields = dict(placement) if isinstance(placement, dict) else {}
    require = fields.pop("require", None)
    for name in fields:
        workload.pod.refuse(f"a job is placed by labels only, not by {name}")
    return require


def _only(containers: dict[str, dict[str, object]], workload: Object) -> object:
    if len(containers) != 1:
        workload.pod.refuse("a job has one container", "containers")
    found = next(iter(containers.values()), {})
    if found.pop("volumes", None):
        workload.pod.refuse("a job has no volumes; run it as a hook of the deploy that has the data", "volumes")
    if found.pop("health", None):
        workload.pod.note("the probes of a job are not needed: it is done when it ends", "containers")
    return found


def name_of(workload: Object) -> str:
    """Its name here."""
    return label(workload.name) or "unnamed"
