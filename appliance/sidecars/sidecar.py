"""What every sidecar's file yields: an instance for the supervisor, and the configuration files it reads."""

import hashlib
from dataclasses import dataclass, field

from msgspec.structs import replace

from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.container import Container, Health, Probe
from appliance.model.instance import Assignment, Mount, PlannedContainer


@dataclass(frozen=True)
class Sidecar:
    """`files`: path below the sidecar's own configuration folder → (text, mode)."""

    assignment: Assignment
    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.assignment.deploy

    def with_image(self, image_id: str) -> Assignment:
        """The assignment for exactly this image, so that another release's image makes the container anew."""
        containers = tuple(replace(planned, image_id=image_id) for planned in self.assignment.containers)
        return replace(self.assignment, containers=containers)


def sidecar(
    name: str,
    *,
    number: int,
    command: tuple[str, ...],
    mounts: tuple[Mount, ...],
    ready: Probe,
    files: dict[str, tuple[str, int]] | None = None,
    image: str = "",
) -> Sidecar:
    """A sidecar of one container on the host's own network, from the image ``appliance/NAME`` of the bundle or `image`.

    `number` is the node's, so that the same sidecar of two nodes has two names.
    """
    container = Container(image=f"appliance/{image or name}", command=command, health=Health(ready=ready))
    assignment = Assignment(
        instance=f"{SYSTEM_SERVICE}/{name}-{number}",
        service=SYSTEM_SERVICE,
        deploy=name,
        index=number,
        revision=1,
        host_network=True,
        containers=(PlannedContainer(name=name, spec=container, mounts=mounts),),
        stop_grace=10.0,
    )
    return Sidecar(assignment, files or {})


def remade_by_files(made: Sidecar) -> Sidecar:
    """For one that reads its configuration at the start only: another configuration makes another container."""
    return remade_by(made, "".join(text for text, _ in made.files.values()))


def remade_by(made: Sidecar, text: str) -> Sidecar:
    """Another `text` makes another container."""
    (planned,) = made.assignment.containers
    spec = replace(planned.spec, env={"CONFIGURATION": hashlib.sha256(text.encode()).hexdigest()[:16]})
    return Sidecar(replace(made.assignment, containers=(replace(planned, spec=spec),)), made.files)
