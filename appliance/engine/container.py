"""What a container is made of, worked out as a value. Pure: nothing here talks to an engine.

A container carries labels that say whose it is, so that an agent that lost its memory finds its instances again.
"""

import hashlib
from dataclasses import dataclass

import msgspec

from appliance.engine.engine import BindMount, ContainerSettings, PublishedPort
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.service import Volume

ROOT_LABEL = "appliance.root"
INSTANCE_LABEL = "appliance.instance"
CONTAINER_LABEL = "appliance.container"
REVISION_LABEL = "appliance.revision"
RESTART_LABEL = "appliance.restart"
DIGEST_LABEL = "appliance.digest"

PAUSE = "pause"
"""Name of the container that holds the network of an instance with several containers."""


@dataclass(frozen=True)
class NodePlaces:
    """What of this node goes into a container. `network`: name of the engine's network for instances.

    `volumes` is the folder of all volumes, `memory` that of those in memory.
    """

    root_id: str
    network: str
    volumes: str
    memory: str


def container_name(root_id: str, instance: str, container: str) -> str:
    """``appliance.3f2a….shop.web-2.main``: the same whenever it is asked for, so a lost answer does no harm."""
    return f"appliance.{root_id}.{instance.replace('/', '.')}.{container}"


def needs_pause(assignment: Assignment) -> bool:
    """A single container keeps its fixed address by itself; several share that of a pause container.

    The one-shot containers of hooks count, since they run when the others do not.
    """
    hooks = assignment.hooks
    one_shots = (*hooks.pre, *hooks.post, *(each for each in (*hooks.after_start, *hooks.before_stop) if each.image))
    return not assignment.host_network and len(assignment.containers) + len(one_shots) > 1


def settings_for(
    assignment: Assignment, planned: PlannedContainer, image: str, places: NodePlaces
) -> ContainerSettings:
    """`image` is the id or reference under which the engine has the image.

    Configs, secrets and what else only the node knows are not among them (`agent/provision.py`).
    """
    spec = planned.spec
    name = container_name(places.root_id, assignment.instance, planned.name)
    shared = needs_pause(assignment)
    ports = () if shared or assignment.host_network else _published((planned,))
    return ContainerSettings(
        name=name,
        image=image,
        labels=_labels(assignment, planned.name, places, _digest(assignment, planned, ports)),
        entrypoint=spec.entrypoint,
        command=spec.command,
        env=spec.env,
        user=spec.user,
        network=_network(assignment, places, shared),
        ip="" if shared else assignment.ip,
        hostname="" if shared or assignment.host_network else _hostname(assignment),
        mounts=_mounts(assignment, planned, places),
        tmpfs=dict.fromkeys(planned.tmpfs, 0) | spec.tmpfs,
        ports=ports,
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        shm=spec.shm,
        gpus=_gpus(assignment, planned),
        devices=spec.devices,
        capabilities=planned.capabilities + spec.capabilities,
        privileged=spec.privileged,
        read_only=spec.read_only,
        workdir=spec.workdir,
        stop_signal=spec.stop_signal,
    )


def pause_settings(assignment: Assignment, image: str, places: NodePlaces) -> ContainerSettings:
    """The container that holds the address and the published ports of the whole instance."""
    ports = _published(assignment.containers)
    digest = _hash((assignment.ip, ports))
    return ContainerSettings(
        name=container_name(places.root_id, assignment.instance, PAUSE),
        image=image,
        labels=_labels(assignment, PAUSE, places, digest),
        network=places.network,
        ip=assignment.ip,
        hostname=_hostname(assignment),
        ports=ports,
    )


def _labels(assignment: Assignment, container: str, places: NodePlaces, digest: str) -> dict[str, str]:
    return {
        ROOT_LABEL: places.root_id,
        INSTANCE_LABEL: assignment.instance,
        CONTAINER_LABEL: container,
        REVISION_LABEL: str(assignment.revision),
        RESTART_LABEL: str(assignment.restart),
        DIGEST_LABEL: digest,
    }


def _network(assignment: Assignment, places: NodePlaces, shared: bool) -> str:
    if assignment.host_network:
        return "host"
    if shared:
        return "container:" + container_name(places.root_id, assignment.instance, PAUSE)
    return places.network


def _hostname(assignment: Assignment) -> str:
    return f"{assignment.deploy}-{assignment.index}"


def _mounts(assignment: Assignment, planned: PlannedContainer, places: NodePlaces) -> tuple[BindMount, ...]:
    volumes = [
        BindMount(_volume(assignment, volume, places), target, volume in planned.spec.read_only_volumes)
        for volume, target in planned.spec.volumes.items()
    ]
    files = [BindMount(mount.source, mount.target, mount.read_only) for mount in planned.mounts]
    return tuple(volumes + files)


def _volume(assignment: Assignment, name: str, places: NodePlaces) -> str:
    volume = assignment.volumes.get(name, Volume())
    folder = places.memory if volume.medium == "memory" else places.volumes
    return volume.path or f"{folder}/{assignment.instance}/{name}"


def _gpus(assignment: Assignment, planned: PlannedContainer) -> tuple[str, ...]:
    """The containers of an instance share out its GPUs in their order."""
    first = 0
    for each in assignment.containers:
        if each.name == planned.name:
            return assignment.gpus[first : first + planned.spec.resources.gpus]
        first += each.spec.resources.gpus
    return ()


def _published(containers: tuple[PlannedContainer, ...]) -> tuple[PublishedPort, ...]:
    """In the order of their numbers, since the one in which they are written down means nothing."""
    ports = [
        PublishedPort(port.port, port.publish, port.protocol)
        for planned in containers
        for port in planned.spec.ports.values()
        if port.publish is not None
    ]
    return tuple(sorted(ports, key=lambda port: (port.host_port, port.protocol, port.container_port)))


def _digest(assignment: Assignment, planned: PlannedContainer, ports: tuple[PublishedPort, ...]) -> str:
    """Changes when, and only when, the container has to be made anew: neither revision nor probes count.

    `ports` are those that it publishes itself: the others are only talked about.
    """
    spec = planned.spec
    later = _later_parts(assignment, planned)
    return _hash(
        (
            planned.image_id or planned.pull or spec.image,
            spec.entrypoint,
            spec.command,
            spec.env,
            spec.user,
            spec.volumes,
            {"cpu": spec.resources.cpu, "memory": spec.resources.memory},
            ports,
            planned.mounts,
            planned.capabilities,
            planned.tmpfs,
            assignment.ip,
            needs_pause(assignment),
            *([later] if later else []),
        )
    )


def _later_parts(assignment: Assignment, planned: PlannedContainer) -> dict[str, object]:
    """What containers can be made of since digests exist: only what is used counts, so that the others' stay."""
    spec = planned.spec
    volumes = {name: assignment.volumes[name] for name in spec.volumes if name in assignment.volumes}
    parts: dict[str, object] = {
        "templates": spec.templates,
        "secret_env": spec.secret_env,
        "secret_files": spec.secrets,
        "secrets": planned.secrets,
        "files": planned.files,
        "paths": {name: volume.path for name, volume in volumes.items() if volume.path},
        "memory": {name: volume.size for name, volume in volumes.items() if volume.medium == "memory"},
        "read_only_volumes": spec.read_only_volumes,
        "tmpfs": spec.tmpfs,
        "shm": spec.shm,
        "gpus": _gpus(assignment, planned),
        "devices": spec.devices,
        "capabilities": spec.capabilities,
        "privileged": spec.privileged,
        "read_only": spec.read_only,
        "workdir": spec.workdir,
        "stop_signal": spec.stop_signal,
    }
    return {name: part for name, part in parts.items() if part}


def _hash(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]
