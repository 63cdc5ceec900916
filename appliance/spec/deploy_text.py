"""The shape of one deploy in a service file."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from appliance.spec.checks import Part, Short, choice, unless_mapping, whole
from appliance.spec.container_text import ContainerText
from appliance.spec.texts import (
    Architectures,
    FolderPath,
    ImageReference,
    LabelName,
    Name,
    Pause,
    Percent,
    Program,
    Seconds,
    Size,
    Target,
    Text,
    Texts,
    Truth,
    Unavailable,
    UrlPath,
)

Count = Annotated[int, whole(0, 10_000)]
Rank = Annotated[int, whole(0, 1000)]
MOST_CONTAINERS = 50
"""Of one deploy."""
_QUERY = re.compile(r'[A-Za-z_:][A-Za-z0-9_:]*(\{([A-Za-z_][A-Za-z0-9_]*="[^"\\]*",?\s*)*\})?')


class VolumeText(Part):
    size: Size = Field(default=0, description="How much is meant to fit; of medium memory, how much fits.")
    medium: Annotated[str, choice("", "nvme", "ssd", "hdd", "memory")] = Field(
        default="", description="nvme, ssd, hdd or memory; default: whatever the node has."
    )
    keep: Truth = Field(default=False, description="The data stays when the instance is deleted.")
    path: FolderPath | None = Field(default=None, description="Not a folder of ours but this one of the node.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.path is not None and (self.size or self.medium or self.keep):
            raise ValueError("a volume with a path is a folder of the node: it has no size, medium or keep")
        if self.medium == "memory" and self.keep:
            raise ValueError("a volume in memory is empty after each start; it cannot be kept")
        return self


class AffinityText(Part):
    deploy: Text = Field(description="DEPLOY of this service, or SERVICE/DEPLOY.")
    by: Text = Field(default="node", description="node, or a label whose equal value makes two nodes the same place.")


Affinity = Annotated[AffinityText, Short(unless_mapping("deploy"), {"type": "string"})]


class PlacementText(Part):
    require: dict[LabelName, Texts] = Field(
        default={}, description="Label → value, or list of values: the node must carry one."
    )
    prefer: dict[LabelName, Texts] = Field(default={}, description="As require, but only a wish.")
    spread: Text = Field(default="node", description="node, or a label whose values share the instances evenly.")
    near: list[Affinity] = Field(default=[], description="Must share its place with an instance of these deploys.")
    away: list[Affinity] = Field(default=[], description="Must not share its place with an instance of these deploys.")
    tolerate: list[Text] = Field(default=[], description="Taints it accepts: KEY, KEY=VALUE, * or not-ready.")
    architecture: Architectures | None = Field(default=None, description="x86_64 or aarch64, or both; default: any.")
    node: Text = Field(default="", description="Name of the one node it is pinned to.")
    max_per_node: Count = Field(default=0, description="Instances that one node takes; 0: any number.")


class HookText(Part):
    run: Program = Field(description="The command.")
    timeout: Pause = Field(default=60.0, description="Later it counts as failed.")
    on_failure: Annotated[Literal["fail", "ignore"], choice("fail", "ignore")] = Field(
        default="fail", description="fail: the start is given up and tried again later; ignore: only reported."
    )
    container: Name | None = Field(
        default=None, description="Whose image, environment and volumes; default: the first."
    )
    image: ImageReference | None = Field(default=None, description="A one-shot container of this image instead.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.container is not None and self.image is not None:
            raise ValueError("a hook runs in a container or in an image of its own, not in both")
        return self


class UnreachableText(Part):
    move_after: Seconds = Field(description="Instances of a node that is unreachable for so long are placed elsewhere.")


class MetricText(Part):
    query: Text = Field(description='Metric in Prometheus\' text format: name or name{label="value"}.')
    target: Target = Field(description="Value per instance.")
    port: Text = Field(description="Name or number of the port that serves it.")
    path: UrlPath = Field(default="/metrics", description="Where it is served.")

    @model_validator(mode="after")
    def _query(self) -> Self:
        if len(self.query) > 1000 or not _QUERY.fullmatch(self.query):
            raise ValueError('query must be a name, or name{label="value"}')
        return self


class AutoscaleText(Part):
    min: Annotated[int, whole(1, 10_000)] = Field(description="At least so many replicas.")
    max: Annotated[int, whole(1, 10_000)] = Field(description="At most so many replicas.")
    cpu: Percent | None = Field(default=None, description="Percent of the promised cores.")
    memory: Percent | None = Field(default=None, description="Percent of the promised memory.")
    metric: MetricText | None = Field(default=None, description="A number that the instances serve.")
    up_after: Seconds = Field(default=30.0, description="So long the wish for more must have lasted.")
    down_after: Seconds = Field(default=300.0, description="So long the wish for fewer must have lasted.")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max})")
        if self.cpu is None and self.memory is None and self.metric is None:
            raise ValueError("autoscale needs at least one of cpu, memory and metric")
        return self


class DeployText(Part):
    rank: Rank = Field(default=0, description="Starts when all lower ranks are ready, stops in reverse.")
    replicas: Count | None = Field(default=None, description="How many instances; default 1.")
    scale: Annotated[Literal["every-node"], choice("every-node")] | None = Field(
        default=None, description="every-node: one instance on each node that fits, instead of replicas."
    )
    network: Annotated[Literal["overlay", "host"], choice("overlay", "host")] = Field(
        default="overlay", description="host: on the node's own network, without an address of its own."
    )
    max_unavailable: Unavailable = Field(
        default="25%", description="A count or percentage that an update may have away."
    )
    min_ready: Seconds = Field(
        default=0.0, description="An update goes on when an instance has been ready for so long."
    )
    priority: Annotated[int, whole(-1000, 1000)] = Field(default=0, description="Higher is placed first.")
    stop_grace: Seconds = Field(default=10.0, description="Time to end by itself before it is killed.")
    drain: Seconds | None = Field(
        default=None, description="Time between the news that an instance goes and its stop; default: as needed."
    )
    on_unreachable: UnreachableText | None = Field(default=None, description="What becomes of instances out of reach.")
    autoscale: AutoscaleText | None = Field(default=None, description="Replicas follow the load.")
    placement: PlacementText = Field(default=PlacementText(), description="Where instances may go.")
    pre: list[HookText] = Field(default=[], description="Run in containers of their own before it starts.")
    after_start: list[HookText] = Field(default=[], description="Run in the running container once all have started.")
    before_stop: list[HookText] = Field(default=[], description="Run in the running container before it is stopped.")
    post: list[HookText] = Field(default=[], description="Run in containers of their own after it has stopped.")
    volumes: dict[Name, VolumeText] = Field(default={}, description="Name → folder of each instance.")
    containers: Annotated[dict[Name, ContainerText], Field(min_length=1, max_length=MOST_CONTAINERS)] = Field(
        description="Name → container, at least one; they share an address."
    )

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        if self.scale is not None and (self.replicas is not None or self.autoscale is not None):
            raise ValueError("scale: every-node has as many instances as nodes: leave out replicas and autoscale")
        if self.autoscale is not None and self.replicas is not None:
            least, most = self.autoscale.min, self.autoscale.max
            if not least <= self.replicas <= most:
                raise ValueError(f"replicas ({self.replicas}) is not between autoscale's {least} and {most}")
        return self
