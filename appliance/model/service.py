"""A service as its author wants it, after the reader has checked it and put its variables in."""

from typing import Literal

import msgspec

from appliance.model.cluster import Image
from appliance.model.container import Container
from appliance.model.entry import Tls
from appliance.model.job import Job
from appliance.model.wish import Heard


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of one instance on its node. `keep` leaves the data behind when the instance is deleted.

    `medium` is ``nvme``, ``ssd``, ``hdd`` or "" (whatever the node has), ``memory`` for a file system in memory of
    `size` bytes that all containers of the instance share and that is empty after each start. `path` : not a folder of
    ours but this one of the node; then nothing else is set.
    """

    size: int = 0
    medium: str = ""
    keep: bool = False
    path: str = ""


class Affinity(msgspec.Struct, frozen=True, kw_only=True):
    """Towards the instances of a deploy (``web`` of the same service, or ``shop/web``).

    `by`: ``node``, or a label whose equal value makes two nodes the same place.
    """

    deploy: str
    by: str = "node"


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where instances may go.

    `require`: labels that a node must carry, each with one of the values. `prefer`: the same, but only a wish.
    `spread`: ``node``, or a label whose values share the instances evenly. `near` and `away`: the instance must, or
    must not, share its place with one of that deploy. `tolerate`: ``KEY``, ``KEY=VALUE`` or ``*`` of taints, and
    ``not-ready`` for nodes that have joined but are not ready. `node`: name of the one node it is pinned to.
    `most_per_node`: instances of the deploy that one node takes, 0 : any number.
    """

    require: dict[str, tuple[str, ...]] = {}
    prefer: dict[str, tuple[str, ...]] = {}
    spread: str = "node"
    near: tuple[Affinity, ...] = ()
    away: tuple[Affinity, ...] = ()
    tolerate: tuple[str, ...] = ()
    architecture: tuple[str, ...] = ()
    node: str = ""
    most_per_node: int = 0


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A command at one moment of an instance's life.

    `container`: whose image, environment and volumes it gets ("" : the first). `image` : a one-shot container of this
    image instead. `on_failure` ``fail``: the start is given up and tried again later; ``ignore``: it is only reported.
    A stop goes on whatever its hooks do.
    """

    run: tuple[str, ...]
    timeout: float = 60.0
    on_failure: Literal["fail", "ignore"] = "fail"
    container: str = ""
    image: str = ""


class Hooks(msgspec.Struct, frozen=True, kw_only=True):
    """In their order. `pre`: one-shot containers before the instance starts; `after_start`: in the running container
    once all have started; `before_stop`: in the running container; `post`: one-shot containers after it has stopped."""

    pre: tuple[Hook, ...] = ()
    after_start: tuple[Hook, ...] = ()
    before_stop: tuple[Hook, ...] = ()
    post: tuple[Hook, ...] = ()


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A number that each instance serves in Prometheus' text format. `query`: ``name`` or ``name{label="value"}``;
    samples that match are summed. `target` is the value per instance."""

    query: str
    target: float
    port: int
    path: str = "/metrics"


class Autoscale(msgspec.Struct, frozen=True, kw_only=True):
    """Between `least` and `most` replicas. `cpu` and `memory`: percent of what the containers are promised.

    `up_after` and `down_after`: so many seconds the wish for more, or for fewer, must have lasted.
    """

    least: int
    most: int
    cpu: int = 0
    memory: int = 0
    metric: Metric | None = None
    up_after: float = 30.0
    down_after: float = 300.0


class Deploy(msgspec.Struct, frozen=True, kw_only=True):
    """Containers that run together (one IP, shared volumes), `replicas` times, or once on `every_node`.

    `max_unavailable`: how many instances an update may have away at a time, ``2`` or ``25%``. `min_ready`: seconds that
    an instance must have been ready before the update goes on. `host_network`: on the node's own network, without an
    address in the overlay. `move_after`: seconds after which an instance of an unreachable node is placed elsewhere,
    None : never. `drain`: seconds between the news that an instance is going to be stopped and its stop, None : so many
    as the entry needs where it leads to the deploy.
    """

    name: str
    rank: int = 0
    replicas: int = 1
    every_node: bool = False
    containers: dict[str, Container]
    volumes: dict[str, Volume] = {}
    hooks: Hooks = Hooks()
    placement: Placement = Placement()
    stop_grace: float = 10.0
    drain: float | None = None
    host_network: bool = False
    max_unavailable: str = "25%"
    min_ready: float = 0.0
    priority: int = 0
    move_after: float | None = None
    autoscale: Autoscale | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A file. `template`: the node has to fill `text` (`model/template.py`). `mode` is the file's mode."""

    path: str
    text: str
    mode: int = 0o444
    template: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """How the outside reaches a deploy: requests for `host` ("" : any) below `path` go to port `port` of `deploy`.

    `certificate`: name of a secret with the host's certificates and key ("" : the cluster's authority issues one).
    `tcp` or `udp`: instead of requests, all that comes to this port of the nodes that serve the entry. The rest is as
    in `model/entry.py`.
    """

    deploy: str
    port: int
    host: str = ""
    path: str = "/"
    tls: Tls = "also"
    certificate: str = ""
    tcp: int = 0
    udp: int = 0
    body: int = 0
    timeout: float = 3600.0
    sticky: bool = False

    @property
    def claim(self) -> str:
        """What no other rule of the cluster may ask for."""
        ports = [f"{protocol}/{port}" for protocol, port in (("tcp", self.tcp), ("udp", self.udp)) if port]
        return ports[0] if ports else f"{self.host or '*'}{self.path}"


class RolloutPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`deadline`: seconds without any progress after which a rollout has failed; `tries`: so many failures in a row of
    a new instance are a failure too. `on_failure`: ``rollback`` to the last revision that was complete, or ``pause``.
    """

    deadline: float = 600.0
    tries: int = 8
    on_failure: Literal["rollback", "pause"] = "rollback"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A group of deploys and jobs that is changed as one. No deploy and job have the same name."""

    name: str
    variables: dict[str, str] = {}
    depends_on: tuple[str, ...] = ()
    configs: dict[str, Config] = {}
    secrets: tuple[str, ...] = ()
    deploys: dict[str, Deploy] = {}
    jobs: dict[str, Job] = {}
    entry: tuple[Entry, ...] = ()
    rollout: RolloutPolicy = RolloutPolicy()
    isolate: bool = False
    """Only its own instances, its entry and the services of `allow` reach its instances."""
    allow: tuple[str, ...] = ()


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted version of a service; never changed afterwards. `number` counts from 1 within the service.

    `images`: those of the spec that were loaded into the cluster, by reference, as they were then. Another image that
    is loaded under the same name later belongs to the next revision. `secrets`: name → version, likewise. `source` is
    the text that the spec was read from and `overrides` are the variables that were given with it.
    """

    service: str
    number: int
    spec: Service
    author: str
    created_at: str
    message: str = ""
    images: dict[str, Image] = {}
    secrets: dict[str, int] = {}
    source: str = ""
    overrides: dict[str, str] = {}


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A person's wish to have an instance on another node; `number` counts the moves of this instance.

    `to`: id of the node, "" : any other. `away_from`: id of the node that it left.
    """

    number: int
    to: str = ""
    away_from: str = ""


class ServiceHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a service now. Written by the API, and by what takes in what people asked on nodes.

    `scale` holds replica counts set by hand (deploy → count), which win over the spec's and over autoscaling until they
    are cleared. `restarts` counts how often a person asked to restart an instance (instance → count); `stopped` holds
    the instances that a person stopped. `halted`: the whole service is to be stopped, highest rank first.
    `generation` counts how often the whole service was asked to restart. `paused`: no instance is created or updated.
    `runs` counts how often a person asked for a run of a job; `cancelled` holds job runs (``shop/report/7``) to end.
    `heard`: instance → what was last asked of it on its node. `deleted`: stop everything, then forget the service.
    """

    service: str
    revision: int
    scale: dict[str, int] = {}
    restarts: dict[str, int] = {}
    stopped: tuple[str, ...] = ()
    halted: bool = False
    generation: int = 0
    paused: bool = False
    moves: dict[str, Move] = {}
    runs: dict[str, int] = {}
    cancelled: tuple[str, ...] = ()
    heard: dict[str, Heard] = {}
    deleted: bool = False


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """How far the service is with `revision`. Written by the orchestrator only.

    `previous` is the last revision that was complete (0 : none); a failed rollout with it is one that went back to it.
    """

    service: str
    revision: int
    state: Literal["running", "paused", "done", "failed"]
    previous: int = 0
    started_at: str = ""
    ended_at: str = ""
    reason: str = ""
    """One sentence saying which rank failed and why."""


class Autoscaled(msgspec.Struct, frozen=True, kw_only=True):
    """How many replicas autoscaling found right for a deploy, and why. Written by the orchestrator only."""

    service: str
    deploy: str
    replicas: int
    reason: str
    at: str


def revision_in_effect(head: ServiceHead, rollout: Rollout | None, spec: Service | None) -> int:
    """The revision that instances are to have: the head's, or the one before when its rollout failed.

    `spec` is that of the head's revision, whose policy decides.
    """
    failed = rollout is not None and rollout.revision == head.revision and rollout.state == "failed"
    if rollout is not None and failed and rollout.previous and spec is not None:
        return rollout.previous if spec.rollout.on_failure == "rollback" else head.revision
    return head.revision
