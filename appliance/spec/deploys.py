"""One deploy from the file to the model."""

from collections.abc import Mapping, Sequence

from appliance.model import container as parts
from appliance.model import service as model
from appliance.spec.containers import Place, Shared, port_number, read_container
from appliance.spec.deploy_text import AffinityText, AutoscaleText, DeployText, HookText, MetricText, PlacementText
from appliance.spec.findings import Findings
from appliance.spec.suggestion import suggestion
from appliance.spec.yaml_text import Path

_MOMENTS = ("pre", "after_start", "before_stop", "post")


def read_deploy(findings: Findings, name: str, text: DeployText, shared: Shared) -> model.Deploy:
    where: Path = ("deploys", name)
    containers = {
        each: read_container(findings, Place((*where, "containers", each), name, each, text.volumes), container, shared)
        for each, container in text.containers.items()
    }
    _refuse_shared_ports(findings, where, containers)
    _refuse_publishing(findings, where, text)
    return model.Deploy(
        name=name,
        rank=text.rank,
        replicas=_replicas(text),
        every_node=text.scale == "every-node",
        containers=containers,
        volumes={
            each: model.Volume(size=volume.size, medium=volume.medium, keep=volume.keep, path=volume.path or "")
            for each, volume in text.volumes.items()
        },
        hooks=_hooks(findings, where, text),
        placement=_placement(text.placement),
        stop_grace=text.stop_grace,
        drain=text.drain,
        host_network=text.network == "host",
        max_unavailable=text.max_unavailable,
        min_ready=text.min_ready,
        priority=text.priority,
        move_after=text.on_unreachable.move_after if text.on_unreachable else None,
        autoscale=_autoscale(findings, (*where, "autoscale"), text.autoscale, containers),
    )


def all_ports(containers: Mapping[str, parts.Container]) -> dict[str, parts.Port]:
    """The ports of all containers, by name; of two with the same name the first container's."""
    return {name: port for each in reversed(list(containers.values())) for name, port in each.ports.items()}


def labels(text: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """As the model has them."""
    return {label: tuple(values) for label, values in text.items()}


def _replicas(text: DeployText) -> int:
    if text.replicas is not None:
        return text.replicas
    return text.autoscale.min if text.autoscale else 1


def _placement(text: PlacementText) -> model.Placement:
    return model.Placement(
        require=labels(text.require),
        prefer=labels(text.prefer),
        spread=text.spread,
        near=_affinities(text.near),
        away=_affinities(text.away),
        tolerate=tuple(text.tolerate),
        architecture=tuple(text.architecture or ()),
        node=text.node,
        most_per_node=text.max_per_node,
    )


def _affinities(texts: Sequence[AffinityText]) -> tuple[model.Affinity, ...]:
    return tuple(model.Affinity(deploy=text.deploy, by=text.by) for text in texts)


def _hooks(findings: Findings, where: Path, text: DeployText) -> model.Hooks:
    def hooks(moment: str) -> tuple[model.Hook, ...]:
        steps: list[HookText] = getattr(text, moment)
        return tuple(_hook(findings, (*where, moment, n), step, text) for n, step in enumerate(steps))

    pre, after_start, before_stop, post = (hooks(moment) for moment in _MOMENTS)
    return model.Hooks(pre=pre, after_start=after_start, before_stop=before_stop, post=post)


def _hook(findings: Findings, where: Path, text: HookText, deploy: DeployText) -> model.Hook:
    if text.container is not None and text.container not in deploy.containers:
        hint = suggestion(text.container, deploy.containers)
        findings.add((*where, "container"), f"the deploy has no container {text.container}{hint}")
    return model.Hook(
        run=tuple(text.run),
        timeout=text.timeout,
        on_failure=text.on_failure,
        container=text.container or "",
        image=text.image or "",
    )


def _autoscale(
    findings: Findings, where: Path, text: AutoscaleText | None, containers: Mapping[str, parts.Container]
) -> model.Autoscale | None:
    if text is None:
        return None
    for resource in ("cpu", "memory"):
        without = next((name for name, one in containers.items() if not getattr(one.resources, resource)), None)
        if getattr(text, resource) is not None and without is not None:
            missing = f"container {without} is promised no {resource}; give it: resources: {{{resource}: …}}"
            findings.add((*where, resource), f"a percentage needs something to be a part of: {missing}")
    return model.Autoscale(
        least=text.min,
        most=text.max,
        cpu=text.cpu or 0,
        memory=text.memory or 0,
        metric=_metric(findings, (*where, "metric"), text.metric, containers),
        up_after=text.up_after,
        down_after=text.down_after,
    )


def _metric(
    findings: Findings, where: Path, text: MetricText | None, containers: Mapping[str, parts.Container]
) -> model.Metric | None:
    if text is None:
        return None
    port = port_number(findings, (*where, "port"), text.port, all_ports(containers))
    return model.Metric(query=text.query, target=text.target, port=port, path=text.path)


def _refuse_shared_ports(findings: Findings, where: Path, containers: Mapping[str, parts.Container]) -> None:
    """The containers of a deploy share one address."""
    seen: dict[tuple[str, int], str] = {}
    for name, container in containers.items():
        for port_name, port in container.ports.items():
            other = seen.setdefault((port.protocol, port.port), f"{name}/{port_name}")
            if other != f"{name}/{port_name}":
                path = (*where, "containers", name, "ports", port_name)
                findings.add(path, f"port {port.port}/{port.protocol} is already {other}'s; they share one address")


def _refuse_publishing(findings: Findings, where: Path, text: DeployText) -> None:
    """On the node's own network every port is there already."""
    for name, container in text.containers.items():
        for port_name, port in container.ports.items():
            if text.network == "host" and port.publish is not None:
                path = (*where, "containers", name, "ports", port_name, "publish")
                findings.add(path, "with network: host the port is on the node's address anyway; leave out publish")
