"""What an instance asks of its node; pure, from the wish for it and the revision that it is to run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.model.cluster import Image
from appliance.model.definition import hooks_of, part
from appliance.model.instance import Binding, Instance
from appliance.model.service import Affinity, Deploy, Placement, Revision

BY_NODE = "node"
"""The place that every node is of its own; any other place is the value of a label."""

NodePort = tuple[str, int]
"""Protocol and port of the node."""

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Images name architectures as Go does, nodes as the kernel does."""


@dataclass(frozen=True, slots=True)
class Need:
    """Equal for all instances that may go to the same nodes for the same reasons.

    `deploy` is ``shop/web``, and so are those of `near` and `away`. `node` is the id of the one node that will do and
    `avoid` of the one that will not, "" : none. `cpu` in thousandths of a core, `memory` and `storage` (by medium) in
    bytes. `gpus`: count and model of each container that wants some, in their order. `architectures`: those that its
    images and its placement allow, as `uname -m` says them, None : any.
    """

    deploy: str = ""
    priority: int = 0
    node: str = ""
    avoid: str = ""
    every_node: bool = False
    host_network: bool = False
    placement: Placement = field(default_factory=Placement)
    near: tuple[Affinity, ...] = ()
    away: tuple[Affinity, ...] = ()
    architectures: frozenset[str] | None = None
    cpu: int = 0
    memory: int = 0
    gpus: tuple[tuple[int, str], ...] = ()
    storage: tuple[tuple[str, int], ...] = ()
    devices: frozenset[str] = frozenset()
    ports: frozenset[NodePort] = frozenset()

    @property
    def gpus_wanted(self) -> str:
        """``2 A100 and 1``, for people."""
        return " and ".join(f"{count} {model}".strip() for count, model in self.gpus)

    def is_met_by(self, binding: Binding) -> bool:
        """Whether a binding that was made for another revision will do for this one."""
        return binding.suits(host_network=self.host_network, gpus=sum(count for count, _ in self.gpus))


def need_of(instance: Instance, revision: Revision) -> Need | None:
    """None when the revision has neither a deploy nor a job of the instance's name."""
    deploy = part(revision.spec, instance.deploy)
    if deploy is None:
        return None
    containers = deploy.containers.values()
    placement = deploy.placement
    return Need(
        deploy=f"{instance.service}/{instance.deploy}",
        priority=deploy.priority,
        node=instance.node,
        avoid=instance.avoid,
        every_node=deploy.every_node,
        host_network=deploy.host_network,
        placement=placement,
        near=_full(instance.service, placement.near),
        away=_full(instance.service, placement.away),
        architectures=_architectures(deploy, revision.images),
        cpu=sum(container.resources.cpu for container in containers),
        memory=sum(container.resources.memory for container in containers) + _in_memory(deploy),
        gpus=tuple((each.resources.gpus, each.resources.gpu_model) for each in containers if each.resources.gpus),
        storage=_storage(deploy),
        devices=frozenset(path for container in containers for path in container.devices),
        ports=_ports(deploy),
    )


def _full(service: str, affinities: tuple[Affinity, ...]) -> tuple[Affinity, ...]:
    return tuple(
        each if "/" in each.deploy else Affinity(deploy=f"{service}/{each.deploy}", by=each.by) for each in affinities
    )


def _architectures(deploy: Deploy, images: Mapping[str, Image]) -> frozenset[str] | None:
    """Those that every loaded image and the placement allow; None : any. The bundle's images run on every node."""
    references = [container.image for container in deploy.containers.values()]
    references += [hook.image for hook in hooks_of(deploy) if hook.image]
    loaded = [images[reference].architecture for reference in references if reference in images]
    allowed = [frozenset({_MACHINES.get(each, each)}) for each in loaded]
    if deploy.placement.architecture:
        allowed.append(frozenset(_MACHINES.get(each, each) for each in deploy.placement.architecture))
    return frozenset.intersection(*allowed) if allowed else None


def _in_memory(deploy: Deploy) -> int:
    return sum(volume.size for volume in deploy.volumes.values() if volume.medium == "memory")


def _storage(deploy: Deploy) -> tuple[tuple[str, int], ...]:
    """Bytes by medium; what names no medium lies wherever the node has room, and is not counted."""
    sums: dict[str, int] = {}
    for volume in deploy.volumes.values():
        if volume.medium not in ("", "memory") and not volume.path:
            sums[volume.medium] = sums.get(volume.medium, 0) + volume.size
    return tuple(sorted(sums.items()))


def _ports(deploy: Deploy) -> frozenset[NodePort]:
    """Those published; on the node's own network, all that its containers listen on."""
    ports = [port for container in deploy.containers.values() for port in container.ports.values()]
    if deploy.host_network:
        return frozenset((port.protocol, port.port) for port in ports)
    return frozenset((port.protocol, port.publish) for port in ports if port.publish is not None)
