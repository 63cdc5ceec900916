"""A service as its author wants it, after the reader has checked it and put its variables in."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from appliance.model.cluster import Image


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port a container listens on; `publish` also opens it on the address of the instance's node."""

    port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    publish: int | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A question asked again and again. Exactly one of `exec`, `http` (a path) and `tcp` is set.

    `port` is the number for http, and equals `tcp` for tcp. `failures` in a row mean no, `successes` in a row mean yes.
    """

    exec: tuple[str, ...] | None = None
    http: str | None = None
    tcp: int | None = None
    port: int = 0
    every: float = 10.0
    timeout: float = 3.0
    failures: int = 3
    successes: int = 1
    initial_delay: float = 0.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`live` says whether to restart the container, `ready` whether it can serve."""

    live: Probe | None = None
    ready: Probe | None = None


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is promised and held to; 0 means no promise and no limit."""

    cpu: int = 0
    memory: int = 0


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of one instance on its node. `keep` leaves the data behind when the instance is deleted."""

    size: int = 0
    medium: str = ""
    keep: bool = False


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One container. `command` replaces the image's command, `entrypoint` its entry point; None leaves them."""

    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    ports: dict[str, Port] = {}
    volumes: dict[str, str] = {}
    """Name of a volume of the deploy → path inside the container."""
    health: Health = Health()
    resources: Resources = Resources()
    user: str = ""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """`require`: labels a node must carry. `spread`: ``node``, or a label whose values share the instances evenly."""

    require: dict[str, str] = {}
    spread: str = "node"


class Deploy(msgspec.Struct, frozen=True, kw_only=True):
    """Containers that run together (one IP, shared volumes), `replicas` times."""

    name: str
    rank: int = 0
    replicas: int = 1
    containers: dict[str, Container]
    volumes: dict[str, Volume] = {}
    placement: Placement = Placement()
    stop_grace: float = 10.0


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A group of deploys that is changed as one."""

    name: str
    variables: dict[str, str] = {}
    deploys: dict[str, Deploy] = {}


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted version of a service; never changed afterwards. `number` counts from 1 within the service.

    `images`: those of the spec that were loaded into the cluster, by reference, as they were then. Another image that
    is loaded under the same name later belongs to the next revision.
    """

    service: str
    number: int
    spec: Service
    author: str
    created_at: str
    message: str = ""
    images: dict[str, Image] = {}


def same_images(deploy: Deploy, before: Mapping[str, Image], now: Mapping[str, Image]) -> bool:
    """Whether the deploy's containers get the same images from the `images` of two revisions."""
    references = {container.image for container in deploy.containers.values()}
    return all(_id(before, reference) == _id(now, reference) for reference in references)


def _id(images: Mapping[str, Image], reference: str) -> str:
    return images[reference].id if reference in images else ""


class ServiceHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a service now. Written by the API only.

    `scale` holds replica counts set by hand (deploy → count), which win over the spec's until the next apply.
    `restarts` counts how often a person asked to restart an instance (instance → count); `stopped` holds the
    instances that a person stopped. `deleted` means: stop everything, then forget the service.
    """

    service: str
    revision: int
    scale: dict[str, int] = {}
    restarts: dict[str, int] = {}
    stopped: tuple[str, ...] = ()
    deleted: bool = False
