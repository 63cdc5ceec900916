"""One job from the file to the model."""

from appliance.model.job import Job
from appliance.spec.containers import Place, Shared, read_container
from appliance.spec.deploys import labels
from appliance.spec.findings import Findings
from appliance.spec.job_text import JobText
from appliance.spec.yaml_text import Path

CONTAINER = "main"
"""Name of a job's only container."""


def read_job(findings: Findings, name: str, text: JobText, shared: Shared) -> Job:
    where: Path = ("jobs", name, "container")
    if text.container.volumes:
        findings.add((*where, "volumes"), "a job has no volumes; for scratch space use tmpfs")
    for field in sorted({"restart", "stable_after"} & text.container.model_fields_set):
        findings.add((*where, field), "a job runs to completion: retries and type say whether it runs again")
    container = read_container(findings, Place(where, name, CONTAINER, text.container.volumes), text.container, shared)
    return Job(
        name=name,
        type=text.type,
        rank=text.rank,
        container=container,
        schedule=text.schedule or "",
        zone=text.zone,
        retries=text.retries if text.type == "normal" else 0,
        timeout=text.timeout,
        parallelism=text.parallelism,
        overlap=text.overlap,
        missed=text.missed,
        keep=text.keep,
        stop_grace=text.stop_grace,
        require=labels(text.require),
    )
