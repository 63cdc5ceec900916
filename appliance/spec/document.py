"""The shape of a service file, as its author writes it. pydantic reports every mistake at once; `reader.py` says where.

A field that stands here is read and acted upon; a field of a later release is unknown here, so nothing is dropped
silently.
"""

import shlex
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from appliance.spec import quantities

_NAME = r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"


def _command(value: object) -> object:
    """A string is split as a shell would split it; no shell runs."""
    return shlex.split(value) if isinstance(value, str) else value


def _scalar(value: object) -> object:
    """Numbers and truth values of YAML in a place for text keep their spelling where it is certain."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Name = Annotated[str, Field(pattern=_NAME)]
Text = Annotated[str, BeforeValidator(_scalar), Field(max_length=65_536)]
Words = Annotated[list[Text], BeforeValidator(_command), Field(min_length=1, max_length=1000)]
Cpu = Annotated[str | float, AfterValidator(quantities.cpu)]
Size = Annotated[str | int, AfterValidator(quantities.size)]
Duration = Annotated[str | float, AfterValidator(quantities.duration)]
PortNumber = Annotated[int, Field(ge=1, le=65_535, strict=True)]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^\x00]*$", max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PortDocument(_Strict):
    port: PortNumber
    protocol: Literal["tcp", "udp"] = "tcp"
    publish: PortNumber | None = None


class ProbeDocument(_Strict):
    exec: Words | None = None
    http: Annotated[str, Field(pattern=r"^/[\x21-\x7e]*$")] | None = None
    tcp: PortNumber | Name | None = None
    port: PortNumber | Name | None = None
    every: Duration = 10
    timeout: Duration = 3
    failures: Annotated[int, Field(ge=1, le=1000)] = 3
    successes: Annotated[int, Field(ge=1, le=1000)] = 1
    initial_delay: Duration = 0

    @model_validator(mode="after")
    def _one_question(self) -> "ProbeDocument":
        asked = [kind for kind in ("exec", "http", "tcp") if getattr(self, kind) is not None]
        if len(asked) != 1:
            raise ValueError("a probe asks by exactly one of exec, http and tcp")
        if asked == ["http"] and self.port is None:
            raise ValueError("a probe by http needs the port, by number or by name")
        return self


class HealthDocument(_Strict):
    live: ProbeDocument | None = None
    ready: ProbeDocument | None = None


class ResourcesDocument(_Strict):
    cpu: Cpu = 0
    memory: Size = 0


class ContainerDocument(_Strict):
    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]{0,254}$")]
    entrypoint: Words | None = None
    command: Words | None = None
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")], Text] = {}
    ports: Annotated[dict[Name, PortNumber | PortDocument], Field(max_length=100)] = {}
    volumes: dict[Name, AbsolutePath] = {}
    health: HealthDocument = HealthDocument()
    resources: ResourcesDocument = ResourcesDocument()
    user: Text = ""


class VolumeDocument(_Strict):
    size: Size = 0
    medium: Literal["", "nvme", "ssd", "hdd"] = ""
    keep: bool = False


class PlacementDocument(_Strict):
    require: dict[str, Text] = {}
    spread: Annotated[str, Field(min_length=1, max_length=63)] = "node"


class DeployDocument(_Strict):
    rank: Annotated[int, Field(ge=0, le=1000)] = 0
    replicas: Annotated[int, Field(ge=0, le=10_000)] = 1
    containers: Annotated[dict[Name, ContainerDocument], Field(min_length=1, max_length=50)]
    volumes: dict[Name, VolumeDocument] = {}
    placement: PlacementDocument = PlacementDocument()
    stop_grace: Duration = 10

    @model_validator(mode="after")
    def _volumes_exist(self) -> "DeployDocument":
        for name, container in self.containers.items():
            for volume in container.volumes:
                if volume not in self.volumes:
                    raise ValueError(f"container {name} mounts volume {volume!r}, which the deploy does not have")
            for kind, probe in (("live", container.health.live), ("ready", container.health.ready)):
                port = None if probe is None else probe.port if probe.tcp is None else probe.tcp
                if isinstance(port, str) and port not in container.ports:
                    raise ValueError(f"container {name}: its {kind} probe asks port {port!r}, which it does not have")
        return self


class ServiceDocument(_Strict):
    service: Name
    variables: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")], Text] = {}
    deploys: Annotated[dict[Name, DeployDocument], Field(min_length=1, max_length=200)]
