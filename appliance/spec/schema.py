"""The shape of a service file, field by field (docs/spec.md is its manual). Says what is wrong; `reader` says where."""

import types
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import AfterValidator, Field, model_validator

from appliance.spec.checks import Part, choice, unique, whole
from appliance.spec.deploy_text import DeployText
from appliance.spec.job_text import JobText
from appliance.spec.texts import (
    EntryPath,
    EntryPort,
    EntryTimeout,
    FileMode,
    FileName,
    HostName,
    InsidePath,
    Name,
    Seconds,
    ServiceName,
    Size,
    Text,
    TlsUse,
    Truth,
)
from appliance.spec.variables import Variable, VariableName

MOST_PARTS = 200
"""Deploys and jobs of one service."""
MOST_CONFIGS = 100


class ConfigText(Part):
    path: InsidePath = Field(description="Where the file is inside the containers.")
    text: Text = Field(description="What it holds; may name facts of the instance and secrets.")
    mode: FileMode = Field(
        default=0o444, json_schema_extra={"default": "0444"}, description='Mode of the file, in quotes: "0440".'
    )
    to: list[Text] | None = Field(default=None, description="DEPLOY, DEPLOY/CONTAINER or JOB; default: all containers.")


class RolloutText(Part):
    deadline: Seconds = Field(default=600.0, description="So long without any progress, an update has failed.")
    tries: Annotated[int, whole(1, 1000)] = Field(
        default=8, description="So many failures in a row of a new instance as well."
    )
    on_failure: Annotated[Literal["rollback", "pause"], choice("rollback", "pause")] = Field(
        default="rollback",
        description="rollback: the whole service returns to its last complete revision; pause: it waits.",
    )


class EntryText(Part):
    host: HostName | None = Field(default=None, description="Requests for this host name; default: any.")
    path: EntryPath = Field(default="/", description="Requests below this path.")
    to: Text = Field(description="DEPLOY/PORT: name or number of a port of its containers.")
    tls: TlsUse = Field(
        default="also",
        json_schema_extra={"default": True},
        description="true: HTTPS beside HTTP; only: HTTP is sent to HTTPS; false: HTTP only.",
    )
    certificate: Name | None = Field(
        default=None, description="Secret with the host's certificates and key (PEM); default: the cluster issues one."
    )
    tcp: EntryPort | None = Field(default=None, description="In place of host and path: this TCP port of the entry.")
    udp: EntryPort | None = Field(default=None, description="In place of host and path: this UDP port of the entry.")
    body: Size | None = Field(default=None, description="How much a request may bring; default: any amount.")
    timeout: EntryTimeout = Field(default=3600.0, description="So long either side may be silent.")
    sticky: Truth = Field(default=False, description="Requests of one address go to the same instance.")

    @model_validator(mode="after")
    def _either_http_or_port(self) -> Self:
        ports = [name for name in ("tcp", "udp") if getattr(self, name) is not None]
        if len(ports) > 1:
            raise ValueError("one rule is for a TCP or a UDP port; write two rules")
        foreign = self.model_fields_set & {"host", "path", "tls", "certificate", "body"}
        if ports and foreign:
            raise ValueError(f"a rule for a {ports[0].upper()} port has no {', '.join(sorted(foreign))}")
        if self.tls == "never" and self.certificate is not None:
            raise ValueError("a rule without TLS has no certificate")
        return self


class ServiceText(Part):
    service: ServiceName = Field(description="Name of the service.")
    depends_on: Annotated[list[Name], AfterValidator(unique)] = Field(
        default=[], description="Services that must be complete before this one's first rank starts."
    )
    variables: dict[VariableName, Variable] = Field(default={}, description="Texts that stand for ${NAME} in the file.")
    configs: Annotated[dict[FileName, ConfigText], Field(max_length=MOST_CONFIGS)] = Field(
        default={}, description="Name → file for containers."
    )
    secrets: Annotated[list[Name], AfterValidator(unique)] = Field(
        default=[],
        description="Secrets that the containers may get; set them before: appliance secret set SERVICE/NAME.",
    )
    rollout: RolloutText = Field(default=RolloutText(), description="When an update has failed, and what then.")
    deploys: dict[Name, DeployText] = Field(default={}, description="Name → containers that run together.")
    jobs: dict[Name, JobText] = Field(default={}, description="Name → container that runs to completion.")
    entry: list[EntryText] = Field(default=[], description="How the outside reaches the deploys.")
    isolate: Truth = Field(
        default=False, description="Only its own instances, its entry and the services of `allow` reach its instances."
    )
    allow: Annotated[list[Name], AfterValidator(unique)] = Field(
        default=[], description="Services whose instances reach those of this isolated one."
    )

    @model_validator(mode="after")
    def _some_parts(self) -> Self:
        count = len(self.deploys) + len(self.jobs)
        if not count:
            raise ValueError("a service needs at least one deploy or job")
        if count > MOST_PARTS:
            raise ValueError(f"{count} deploys and jobs are more than the {MOST_PARTS} that one service may have")
        return self


def fields_at(path: tuple[str | int, ...]) -> list[str]:
    """Names that are allowed in the part of the file at `path`; empty where names are free."""
    shape: Any = ServiceText
    for step in path:
        shape = _below(shape, step)
    part = _part(shape)
    return list(part.model_fields) if part else []


def _below(shape: Any, step: str | int) -> Any:
    """The shape of what stands under `step`; None where there is nothing of ours."""
    part = _part(shape)
    if part is not None:
        field = part.model_fields.get(str(step))
        return field.annotation if field else None
    for option in _options(shape):
        if get_origin(option) in (dict, list):
            return get_args(option)[-1]
    return None


def _part(shape: Any) -> type[Part] | None:
    return next((one for one in _options(shape) if isinstance(one, type) and issubclass(one, Part)), None)


def _options(shape: Any) -> list[Any]:
    """What a shape may be, without annotations."""
    if get_origin(shape) is Annotated:
        return _options(get_args(shape)[0])
    if get_origin(shape) in (Union, types.UnionType):
        return [each for option in get_args(shape) for each in _options(option)]
    return [shape]
