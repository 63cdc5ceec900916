"""One container from the file to the model."""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from appliance.model import container as model
from appliance.spec.container_text import ContainerText, ProbeText, ResourcesText, SecretEnvText
from appliance.spec.findings import Findings
from appliance.spec.schema import ConfigText
from appliance.spec.suggestion import suggestion
from appliance.spec.yaml_text import Path

OWN_FILE = "/etc/hosts"
"""Mounted into every container by the node."""


@dataclass(frozen=True)
class Shared:
    """What the containers of one service have in common. `templates`: paths of the texts that the node completes."""

    configs: Mapping[str, ConfigText]
    secrets: Collection[str]
    templates: Collection[Path]


@dataclass(frozen=True)
class Place:
    """Where a container stands: `path` in the file, its deploy or job, its name, the volumes that it may mount."""

    path: Path
    owner: str
    name: str
    volumes: Collection[str]


def read_container(findings: Findings, place: Place, text: ContainerText, shared: Shared) -> model.Container:
    ports = {
        name: model.Port(port=port.port, protocol=port.protocol, publish=port.publish)
        for name, port in text.ports.items()
    }
    container = model.Container(
        image=text.image,
        entrypoint=_tuple(text.entrypoint),
        command=_tuple(text.command),
        env={name: value for name, value in text.env.items() if isinstance(value, str)},
        templates=tuple(name for name in text.env if (*place.path, "env", name) in shared.templates),
        secret_env={name: value.secret for name, value in text.env.items() if isinstance(value, SecretEnvText)},
        secrets=text.secrets,
        configs=tuple(name for name, config in shared.configs.items() if _gets(config, place)),
        ports=ports,
        volumes={name: path.removesuffix(":ro") for name, path in text.volumes.items()},
        read_only_volumes=tuple(name for name, path in text.volumes.items() if path.endswith(":ro")),
        tmpfs=text.tmpfs,
        shm=text.shm,
        devices=tuple(text.devices),
        capabilities=tuple(text.capabilities),
        privileged=text.privileged,
        read_only=text.read_only,
        health=_health(findings, (*place.path, "health"), text, ports),
        resources=_resources(text.resources),
        user=text.user,
        workdir=text.workdir or "",
        stop_signal=text.stop_signal or "",
        restart=text.restart,
        stable_after=text.stable_after,
    )
    _refuse_unknown(findings, place, container, shared)
    _refuse_clashes(findings, place, container, shared)
    return container


def port_number(findings: Findings, path: Path, asked: str, ports: Mapping[str, model.Port]) -> int:
    """Of a port that is named by its name or number; 0 after a problem."""
    if asked in ports:
        return ports[asked].port
    if asked.isascii() and asked.isdecimal() and len(asked) <= 5 and 1 <= int(asked) <= 65535:
        return int(asked)
    findings.add(path, f"there is no port {asked[:100]}{suggestion(asked, ports)}")
    return 0


def _gets(config: ConfigText, place: Place) -> bool:
    return config.to is None or place.owner in config.to or f"{place.owner}/{place.name}" in config.to


def _resources(text: ResourcesText) -> model.Resources:
    gpu = text.gpu
    return model.Resources(
        cpu=text.cpu, memory=text.memory, gpus=gpu.count if gpu else 0, gpu_model=gpu.model if gpu else ""
    )


def _health(findings: Findings, path: Path, text: ContainerText, ports: Mapping[str, model.Port]) -> model.Health:
    def probe(name: str, asked: ProbeText | None) -> model.Probe | None:
        return None if asked is None else _probe(findings, (*path, name), asked, ports)

    health = text.health
    return model.Health(
        start=probe("start", health.start), live=probe("live", health.live), ready=probe("ready", health.ready)
    )


def _probe(findings: Findings, path: Path, text: ProbeText, ports: Mapping[str, model.Port]) -> model.Probe:
    asked, field = (text.tcp, "tcp") if text.tcp is not None else (text.port, "port")
    port = 0 if asked is None else port_number(findings, (*path, field), asked, ports)
    return model.Probe(
        exec=_tuple(text.exec),
        http=text.http,
        tcp=port if text.tcp is not None else None,
        grpc=text.grpc,
        port=port,
        every=text.every,
        timeout=text.timeout,
        failures=text.failures,
        successes=text.successes,
        initial_delay=text.initial_delay,
    )


def _refuse_unknown(findings: Findings, place: Place, container: model.Container, shared: Shared) -> None:
    for volume in container.volumes:
        if volume not in place.volumes:
            hint = suggestion(volume, place.volumes) or "; list it under the deploy's volumes"
            findings.add((*place.path, "volumes", volume), f"the deploy has no volume {volume}{hint}")
    wanted: dict[Path, str] = {("secrets", name): name for name in container.secrets}
    wanted |= {("env", variable, "secret"): name for variable, name in container.secret_env.items()}
    for path, secret in wanted.items():
        if secret not in shared.secrets:
            hint = suggestion(secret, shared.secrets) or "; list it under the service's secrets"
            findings.add((*place.path, *path), f"the service has no secret {secret}{hint}")


def _refuse_clashes(findings: Findings, place: Place, container: model.Container, shared: Shared) -> None:
    """Two things cannot be at the same path, and nothing can be below a file."""
    files: list[tuple[str, Path]] = [(path, (*place.path, "secrets", name)) for name, path in container.secrets.items()]
    files += [(shared.configs[name].path, ("configs", name, "path")) for name in container.configs]
    folders = [(path, (*place.path, "volumes", name)) for name, path in container.volumes.items()]
    folders += [(path, (*place.path, "tmpfs", path)) for path in container.tmpfs]
    here = f"in container {place.owner}/{place.name}"
    taken = {OWN_FILE: "the appliance's own file"}
    for path, where in [*folders, *files]:
        if path in taken:
            findings.add(where, f"{path} {here} is taken already by {taken[path]}")
        taken.setdefault(path, " ".join(str(step) for step in where if step != "path")[-100:])
    ordered = sorted(taken)
    for path, where in files:
        after = bisect_left(ordered, f"{path}/")
        if after < len(ordered) and ordered[after].startswith(f"{path}/"):
            findings.add(where, f"{path} is a file, so {ordered[after]} {here} cannot be below it")


def _tuple(words: list[str] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)
