"""The shape of one container in a service file."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from appliance.spec.checks import SCALAR, VARIABLE, Part, Short, choice, listed, unless_mapping, whole
from appliance.spec.texts import (
    Capability,
    Cores,
    DevicePath,
    EnvName,
    FolderPath,
    ImageReference,
    InsidePath,
    MountedPath,
    Name,
    Pause,
    PortNumber,
    Program,
    Seconds,
    Signal,
    Size,
    Text,
    Truth,
    UrlPath,
    Words,
)

Times = Annotated[int, whole(1, 1000)]
MOST_PORTS = 1000
"""Of one container."""


class PortText(Part):
    port: PortNumber = Field(description="The number that the container listens on.")
    protocol: Annotated[Literal["tcp", "udp"], choice("tcp", "udp")] = Field(default="tcp", description="tcp or udp.")
    publish: PortNumber | None = Field(
        default=None, description="Also open it as this port on the address of the node."
    )


class ProbeText(Part):
    exec: Program | None = Field(default=None, description="A program in the container; exit code 0 means yes.")
    http: UrlPath | None = Field(default=None, description="A path; a success (200 to 399) means yes. Needs port.")
    tcp: Text | None = Field(default=None, description="Name or number of a port; an accepted connection means yes.")
    grpc: Text | None = Field(default=None, description="Name of a gRPC service, '' for the server; SERVING means yes.")
    port: Text | None = Field(default=None, description="Name or number of the port for http and grpc.")
    every: Pause = Field(default=10.0, description="Time from one question to the next.")
    timeout: Pause = Field(default=3.0, description="No answer after this time means no.")
    failures: Times = Field(default=3, description="So many in a row mean no.")
    successes: Times = Field(default=1, description="So many in a row mean yes.")
    initial_delay: Seconds = Field(default=0.0, description="Time before the first question.")

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if sum(question is not None for question in (self.exec, self.http, self.tcp, self.grpc)) != 1:
            raise ValueError("a probe needs exactly one of exec, http, tcp and grpc")
        asks_a_server = self.http is not None or self.grpc is not None
        if asks_a_server and self.port is None:
            raise ValueError("an http or grpc probe needs a port: the name or number of a port of this container")
        if not asks_a_server and self.port is not None:
            raise ValueError("only http and grpc probes have a port; a tcp probe is written tcp: PORT")
        return self


class HealthText(Part):
    start: ProbeText | None = Field(
        default=None, description="The other two wait for its yes; its no restarts the container."
    )
    live: ProbeText | None = Field(default=None, description="Its no restarts the container.")
    ready: ProbeText | None = Field(default=None, description="Its no keeps traffic away, and higher ranks wait.")


class GpuText(Part):
    count: Annotated[int, whole(1, 64)] = Field(description="Whole GPUs for this container alone.")
    model: Text = Field(default="", description="Of this model, as `appliance node ls` shows it; default: any.")


class ResourcesText(Part):
    cpu: Cores = Field(default=0, description="Cores that are promised, and the limit: 2, 0.5 or 500m.")
    memory: Size = Field(default=0, description="Memory that is promised, and the limit: 512Mi.")
    gpu: Annotated[GpuText, Short(unless_mapping("count"), {"type": "integer", "minimum": 1})] | None = Field(
        default=None, description="A count, or a count and a model."
    )


class SecretEnvText(Part):
    secret: Name = Field(description="Name of a secret of the service.")


ENV_KINDS = ("[text]", "[secret]")


def _kind(value: object) -> str:
    return ENV_KINDS[isinstance(value, dict | SecretEnvText)]


EnvText = Annotated[
    Annotated[Text, Tag(ENV_KINDS[0])] | Annotated[SecretEnvText, Tag(ENV_KINDS[1])],
    Discriminator(_kind),
]


class ContainerText(Part):
    image: ImageReference = Field(description="A reference such as shop/web:1.4.")
    entrypoint: Words | None = Field(default=None, description="Replaces the image's entry point.")
    command: Words | None = Field(default=None, description="Replaces the image's command.")
    env: dict[EnvName, EnvText] = Field(default={}, description="Environment variables: a text, or {secret: NAME}.")
    secrets: Annotated[
        dict[Name, InsidePath],
        Short(listed(lambda name: f"/run/secrets/{name}"), {"type": "array", "items": {"type": "string"}}),
    ] = Field(default={}, description="Secret → path of a file; or a list of secrets, below /run/secrets.")
    ports: Annotated[
        dict[
            Name,
            Annotated[
                PortText, Short(unless_mapping("port"), {"anyOf": [{"type": "integer", "maximum": 65535}, VARIABLE]})
            ],
        ],
        Field(max_length=MOST_PORTS),
    ] = Field(default={}, description="Name → number, or a mapping.")
    volumes: dict[Name, MountedPath] = Field(
        default={}, description="Volume of the deploy → path; PATH:ro to read only."
    )
    tmpfs: Annotated[dict[InsidePath, Size], Short(listed(0), {"type": "array", "items": SCALAR})] = Field(
        default={}, description="Path → size of a file system in memory; or a list of paths."
    )
    shm: Size = Field(default=0, description="Size of /dev/shm; default: 64Mi.")
    devices: list[DevicePath] = Field(default=[], description="Devices of the node, by path.")
    capabilities: list[Capability] = Field(default=[], description="Linux capabilities in addition to the usual ones.")
    privileged: Truth = Field(default=False, description="All that root of the node may do.")
    read_only: Truth = Field(default=False, description="The container's own file system cannot be written.")
    health: HealthText = Field(default=HealthText(), description="Probes.")
    resources: ResourcesText = Field(default=ResourcesText(), description="What it is promised and held to.")
    user: Text = Field(default="", description="USER, UID or UID:GID; default: the image's.")
    workdir: FolderPath | None = Field(default=None, description="Folder it starts in; default: the image's.")
    stop_signal: Signal | None = Field(default=None, description="Asks it to end, like SIGINT; default: the image's.")
    restart: Annotated[Literal["always", "on-failure", "never"], choice("always", "on-failure", "never")] = Field(
        default="always", description="When it is started again after it ended."
    )
    stable_after: Seconds = Field(default=10.0, description="Up so long, it starts again without a pause.")
