"""The shape of a service file, field by field (docs/spec.md is its manual). Says what is wrong; `reader` says where."""

import re
import shlex
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from appliance.model.cluster import SYSTEM_SERVICE
from appliance.spec import quantities

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LATER = frozenset({"configs", "secrets", "jobs", "entry", "pre", "post", "on_unreachable", "autoscale", "taints"})
"""Fields of the file format that this release does not act on, and so refuses."""


def _name(value: object) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise ValueError(f"{value!r} is not a name: use up to 63 of a-z, 0-9 and -, not starting or ending with -")
    return value


def _service_name(value: object) -> str:
    name = _name(value)
    if name == SYSTEM_SERVICE:
        raise ValueError(f"the name {SYSTEM_SERVICE} is the appliance's own; choose another")
    return name


def _text(value: object) -> str:
    """Numbers and truth values are written without quotes so often that refusing them would only annoy."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        raise ValueError(f"{value!r} is a number; write it in quotes, or 1.10 would become 1.1")
    if not isinstance(value, str | int):
        raise ValueError("this must be a text")
    if "\0" in str(value):
        raise ValueError("a text cannot hold the NUL character")
    return str(value)


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise ValueError(f"the command cannot be split into words: {error}; write it as a list") from error
    if not isinstance(value, list):
        raise ValueError("this must be a text or a list of texts")
    return [_text(word) for word in value]


def _whole(value: object) -> int:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _absolute(value: object) -> str:
    path = _text(value)
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} must be an absolute path without ..")
    return path


def _image(value: object) -> str:
    image = _text(value)
    if not image or any(character.isspace() for character in image):
        raise ValueError(f"{image!r} is not an image; write it like shop/web:1.4")
    return image


def _port(value: object) -> object:
    return value if isinstance(value, dict) else {"port": value}


Name = Annotated[str, BeforeValidator(_name)]
Text = Annotated[str, BeforeValidator(_text)]
Words = Annotated[list[str], BeforeValidator(_words)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=10_000)]
Times = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=1000)]
PortNumber = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=65535)]
Seconds = Annotated[float, BeforeValidator(quantities.duration), Field(le=86_400)]
Pause = Annotated[float, BeforeValidator(quantities.duration), Field(ge=0.1, le=86_400)]
FolderPath = Annotated[str, BeforeValidator(_absolute)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PortText(_Part):
    port: PortNumber
    protocol: Literal["tcp", "udp"] = "tcp"
    publish: PortNumber | None = None


class ProbeText(_Part):
    exec: Words | None = None
    http: Text | None = None
    tcp: Text | None = None
    port: Text | None = None
    every: Pause = 10.0
    timeout: Pause = 3.0
    failures: Times = 3
    successes: Times = 1
    initial_delay: Seconds = 0.0

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if sum(question is not None for question in (self.exec, self.http, self.tcp)) != 1:
            raise ValueError("a probe needs exactly one of exec, http and tcp")
        if self.http is not None and not self.http.startswith("/"):
            raise ValueError("http is a path and starts with /")
        if self.http is not None and self.port is None:
            raise ValueError("an http probe needs a port: the name or number of a port of this container")
        if self.http is None and self.port is not None:
            raise ValueError("only an http probe has a port; a tcp probe is written tcp: PORT")
        if self.exec is not None and not self.exec:
            raise ValueError("exec needs at least the program's name")
        return self


class HealthText(_Part):
    live: ProbeText | None = None
    ready: ProbeText | None = None


class ResourcesText(_Part):
    cpu: Annotated[int, BeforeValidator(quantities.cpu)] = 0
    memory: Annotated[int, BeforeValidator(quantities.size)] = 0


class VolumeText(_Part):
    size: Annotated[int, BeforeValidator(quantities.size)] = 0
    medium: Text = ""
    keep: bool = False


class ContainerText(_Part):
    image: Annotated[str, BeforeValidator(_image)]
    entrypoint: Words | None = None
    command: Words | None = None
    env: dict[str, Text] = {}
    ports: dict[Name, Annotated[PortText, BeforeValidator(_port)]] = {}
    volumes: dict[Name, FolderPath] = {}
    health: HealthText = HealthText()
    resources: ResourcesText = ResourcesText()
    user: Text = ""


class PlacementText(_Part):
    require: dict[str, Text] = {}
    spread: Text = "node"


class DeployText(_Part):
    rank: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=1000)] = 0
    replicas: Count = 1
    containers: Annotated[dict[Name, ContainerText], Field(min_length=1)]
    volumes: dict[Name, VolumeText] = {}
    placement: PlacementText = PlacementText()
    stop_grace: Seconds = 10.0


class ServiceText(_Part):
    service: Annotated[str, BeforeValidator(_service_name)]
    variables: dict[str, Text] = {}
    deploys: Annotated[dict[Name, DeployText], Field(min_length=1)]


_SHAPES: dict[tuple[str, ...], type[_Part]] = {
    (): ServiceText,
    ("deploys", "*"): DeployText,
    ("deploys", "*", "placement"): PlacementText,
    ("deploys", "*", "volumes", "*"): VolumeText,
    ("deploys", "*", "containers", "*"): ContainerText,
    ("deploys", "*", "containers", "*", "ports", "*"): PortText,
    ("deploys", "*", "containers", "*", "resources"): ResourcesText,
    ("deploys", "*", "containers", "*", "health"): HealthText,
    ("deploys", "*", "containers", "*", "health", "live"): ProbeText,
    ("deploys", "*", "containers", "*", "health", "ready"): ProbeText,
}


def fields_at(path: tuple[str | int, ...]) -> list[str]:
    """Names that are allowed in the part of the file at `path`; empty where names are free."""
    for shape, part in _SHAPES.items():
        if len(shape) == len(path) and all(want in ("*", have) for want, have in zip(shape, path, strict=True)):
            return list(part.model_fields)
    return []
