"""Names by which one part of a service speaks of another: each must exist, and mean one thing."""

from appliance.spec.container_text import ContainerText
from appliance.spec.deploy_text import AffinityText
from appliance.spec.findings import Findings
from appliance.spec.jobs import CONTAINER
from appliance.spec.schema import ServiceText
from appliance.spec.suggestion import suggestion
from appliance.spec.yaml_text import Path


def refuse_unknown_names(findings: Findings, text: ServiceText) -> None:
    """Adds a problem for each name that leads nowhere, and for what two parts claim."""
    if text.service in text.depends_on:
        findings.add(("depends_on", text.depends_on.index(text.service)), "a service cannot wait for itself")
    if text.allow and not text.isolate:
        findings.add(("allow",), "only an isolated service lets others in: add isolate: true")
    for name in text.jobs:
        if name in text.deploys:
            findings.add(("jobs", name), f"there is a deploy {name} already; their instances would share names")
    _refuse_recipients(findings, text)
    for name, deploy in text.deploys.items():
        for side, affinities in (("near", deploy.placement.near), ("away", deploy.placement.away)):
            for number, affinity in enumerate(affinities):
                _refuse_affinity(findings, ("deploys", name, "placement", side, number), affinity, text)
    _refuse_shared_publishing(findings, text)


def _refuse_recipients(findings: Findings, text: ServiceText) -> None:
    known = {*text.deploys, *text.jobs, *(f"{job}/{CONTAINER}" for job in text.jobs)}
    known |= {f"{name}/{container}" for name, deploy in text.deploys.items() for container in deploy.containers}
    for name, config in text.configs.items():
        for number, target in enumerate(config.to or ()):
            if target not in known:
                findings.add(
                    ("configs", name, "to", number),
                    f"there is no deploy, container or job {target[:100]}{suggestion(target, sorted(known))}",
                )


def _refuse_affinity(findings: Findings, where: Path, affinity: AffinityText, text: ServiceText) -> None:
    """Deploys of other services may come later; those of this service must be in the file."""
    service, slash, deploy = affinity.deploy.rpartition("/")
    if slash and service != text.service:
        if not service or not deploy or "/" in service:
            findings.add(where, "write it as DEPLOY, or SERVICE/DEPLOY for one of another service")
    elif deploy not in text.deploys:
        findings.add(where, f"the service has no deploy {deploy[:100]}{suggestion(deploy, text.deploys)}")


def _refuse_shared_publishing(findings: Findings, text: ServiceText) -> None:
    """A port of a node can be published once."""
    seen: dict[tuple[str, int], str] = {}
    containers: list[tuple[Path, str, ContainerText]] = [
        (("deploys", name, "containers", each), f"{name}/{each}", container)
        for name, deploy in text.deploys.items()
        for each, container in deploy.containers.items()
    ]
    containers += [
        (("jobs", name, "container"), f"{name}/{CONTAINER}", job.container) for name, job in text.jobs.items()
    ]
    for where, owner, container in containers:
        for port_name, port in container.ports.items():
            if port.publish is None:
                continue
            other = seen.setdefault((port.protocol, port.publish), f"{owner}/{port_name}")
            if other != f"{owner}/{port_name}":
                path = (*where, "ports", port_name)
                findings.add(path, f"{other} publishes port {port.publish}/{port.protocol} already")
