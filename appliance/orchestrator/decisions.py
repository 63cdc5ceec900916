"""What can be decided about a service, by name."""

from dataclasses import dataclass

from appliance.model.instance import Instance
from appliance.model.service import Rollout


@dataclass(frozen=True, slots=True)
class Create:
    instance: Instance


@dataclass(frozen=True, slots=True)
class Alter:
    """Write the instance as it is here: another revision, count or desired state."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Renew:
    """Write the instance as it is here and forget where it lived, in one commit: it gets a new node."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing of it is left on any node: delete it with its binding, status and refusal."""

    instance: str


@dataclass(frozen=True, slots=True)
class StartRun:
    """Begin a run of the job, as the revision has it: its rank's turn has come."""

    job: str
    revision: int


@dataclass(frozen=True, slots=True)
class Record:
    """Write how far the service is."""

    rollout: Rollout


@dataclass(frozen=True, slots=True)
class ForgetHistory:
    """Delete revisions by number, and versions of secrets by their names in the store."""

    revisions: tuple[int, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForgetService:
    service: str


Decision = Create | Alter | Renew | Forget | StartRun | Record | ForgetHistory | ForgetService
