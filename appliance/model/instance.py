"""An instance: replica number i of a deploy, from the wish for it to what was seen of it.

Four values, four writers: the orchestrator writes `Instance`, the scheduler `Binding`, a manager derives an
`Assignment` from both for the node, and the node reports an `InstanceStatus`.
"""

from typing import Literal

import msgspec

from appliance.model.container import Container
from appliance.model.job import JobPlan
from appliance.model.service import Hooks, Metric, Volume
from appliance.model.wish import Desired

InstanceState = Literal[
    "pending",  # no node yet
    "assigned",  # bound to a node that has not reported on it yet
    "preparing",  # its images, secrets or network are being brought
    "waiting",  # after a start of its node: lower ranks of its service are not ready yet
    "starting",  # containers are being created or have not passed their first readiness probe
    "running",  # every container runs (whether it is ready is a field of its own)
    "backoff",  # a container keeps failing; waiting before the next try
    "stopping",
    "stopped",  # as somebody wished, or as the restart policies of its containers say
    "succeeded",  # a job that ended with exit code 0
    "failed",  # a job that ended otherwise and is not tried again
    "removed",  # nothing of it is left on the node
    "unreachable",  # its node cannot be reached; what is shown is the last that was known
]


def instance_name(service: str, deploy: str, index: int) -> str:
    """``shop/web-2``."""
    return f"{service}/{deploy}-{index}"


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """The wish for one instance.

    `restart` counts restarts that a person asked for, `generation` those of the whole service, `move` its moves.
    `node`: id of the one node it may live on ("" : any), as for `every_node` or after a move; `avoid`: id of the node
    that it moved away from. `run`: number of the job's run that it belongs to, 0 for an instance of a deploy. `heard`:
    number of the newest wish of its node (`LocalWish`) that all this takes into account.
    """

    name: str
    service: str
    deploy: str
    index: int
    revision: int
    desired: Desired = "running"
    restart: int = 0
    generation: int = 0
    move: int = 0
    node: str = ""
    avoid: str = ""
    run: int = 0
    heard: int = 0


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Where an instance lives, decided once. `ip` is its address in the overlay for good ("" on the host's network).

    `gpus`: ids of the node's GPUs that are its alone. Both are renewed, on the same node, for a revision that asks for
    something else.
    """

    instance: str
    node: str
    ip: str
    bound_at: str
    gpus: tuple[str, ...] = ()

    def suits(self, *, host_network: bool, gpus: int) -> bool:
        """Whether it has what such an instance needs of its node: an address or none, and as many GPUs."""
        return bool(self.ip) != host_network and len(self.gpus) == gpus


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why an instance has no node, or not what its revision asks of the one it has: a sentence for people, and how many
    nodes each filter turned away."""

    instance: str
    reason: str
    counts: dict[str, int] = {}


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A folder or file of the host inside a sidecar's container."""

    source: str
    target: str
    read_only: bool = False


class PlannedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A config as it appears in a container; `template`: the node has to fill `text`."""

    path: str
    text: str
    mode: int = 0o444
    template: bool = False


class PlannedContainer(msgspec.Struct, frozen=True, kw_only=True):
    """A container as a node has to run it. `image_id` recognises the image, `pull` fetches it ("" : in the bundle).

    `files` are its configs; `secrets`: name → version of all that it uses. `mounts`, `capabilities` and `tmpfs` are for
    sidecars; the spec reader never fills them.
    """

    name: str
    spec: Container
    image_id: str = ""
    pull: str = ""
    files: tuple[PlannedFile, ...] = ()
    secrets: dict[str, int] = {}
    mounts: tuple[Mount, ...] = ()
    capabilities: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """One instance as its node has to run it. The node keeps it on disk and needs nobody to act on it.

    `host_network`: the containers use the host's own network; then `ip` is empty. `job`: None for an instance of a
    deploy. `hook_images`: for each one-shot image of `hooks` by reference, a container that says how to find it.
    `gpus`: ids of the node's GPUs that it gets. `metric`: what the node is to read of it for autoscaling. `drain`:
    seconds for which it says that it is not ready any more before it is stopped. `heard`: as in `Instance`.
    """

    instance: str
    service: str
    deploy: str
    index: int
    revision: int
    rank: int = 0
    desired: Desired = "running"
    restart: int = 0
    generation: int = 0
    ip: str = ""
    host_network: bool = False
    containers: tuple[PlannedContainer, ...]
    volumes: dict[str, Volume] = {}
    stop_grace: float = 10.0
    drain: float = 0.0
    hooks: Hooks = Hooks()
    hook_images: tuple[PlannedContainer, ...] = ()
    job: JobPlan | None = None
    gpus: tuple[str, ...] = ()
    metric: Metric | None = None
    heard: int = 0


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A container as the engine shows it. `id` is the engine's, `started_at` RFC 3339 or empty."""

    name: str
    id: str
    image: str
    state: str
    started_at: str = ""
    exit_code: int | None = None
    restarts: int = 0


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a job's instance fared on its node. `tries` counts starts; times are RFC 3339 or empty.

    `lost`: the node cannot tell any more how a `once` job ended.
    """

    tries: int = 0
    exit_code: int | None = None
    started_at: str = ""
    finished_at: str = ""
    lost: bool = False


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a node last saw of an instance. `since`: when `state` last changed; `revision`: the one that runs.

    `failures`: how often in a row it failed to start or did not stay up. `job`: None for an instance of a deploy.
    """

    instance: str
    node: str
    state: InstanceState
    ready: bool = False
    ip: str = ""
    revision: int = 0
    restart: int = 0
    generation: int = 0
    restarts: int = 0
    failures: int = 0
    since: str = ""
    message: str = ""
    containers: tuple[ContainerStatus, ...] = ()
    job: JobStatus | None = None
