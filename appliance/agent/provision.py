"""What has to lie on the node before an instance's containers start, and goes with the instance."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from appliance.agent.files import InstanceFile, InstanceFiles
from appliance.agent.secrets import SecretBook
from appliance.agent.volumes import Volumes
from appliance.engine.container import CONTAINER_LABEL
from appliance.engine.engine import ContainerSettings
from appliance.errors import ApplianceError
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.identity import NodeIdentity
from appliance.model.instance import Assignment, PlannedContainer
from appliance.model.secret import secret_ref, secrets_used
from appliance.model.template import SECRET, fill

SECRET_MODE = 0o444
"""Images run as any user; outside the containers nobody but root can look at the files."""


class Provision:
    """Thread-safe; an instance is never worked on by two. `resolver_text`: service → its containers' resolv.conf."""

    def __init__(
        self,
        volumes: Volumes,
        files: InstanceFiles,
        secrets: SecretBook,
        node: NodeIdentity,
        resolver_text: Callable[[str], str],
    ) -> None:
        self._volumes = volumes
        self._files = files
        self._secrets = secrets
        self._node = node
        self._resolver_text = resolver_text

    def missing(self, assignment: Assignment) -> tuple[str, ...]:
        """What has not reached this node yet and the instance cannot start without, by name."""
        gone = sorted(each for each in secrets_used(assignment) if self._secrets.get(each) is None)
        return tuple(f"secret {reference}" for reference in gone)

    def prepare(self, assignment: Assignment) -> None:
        """Make all of it; what is there already is left as it is. Call it before a container is created or started.

        Raises ApplianceError where something that it needs is not on this node.
        """
        self._volumes.prepare(assignment)
        for planned in assignment.containers:
            self._files.write(assignment.instance, planned.name, self._files_of(assignment, planned))

    def complete(self, assignment: Assignment, settings: ContainerSettings) -> ContainerSettings:
        """The settings with what only this node knows put in; call it last, since secrets are among it.

        The container is the one of the assignment that the settings' label names; a pause container stays as it is.
        """
        label = settings.labels.get(CONTAINER_LABEL)
        planned = next((each for each in assignment.containers if each.name == label), None)
        if planned is None or assignment.service == SYSTEM_SERVICE:
            return settings
        values = self._values(assignment, planned)
        spec = planned.spec
        filled = {name: _filled(settings.env[name], values, f"env {name}") for name in spec.templates}
        secrets = {name: _value(values, each, f"env {name}") for name, each in spec.secret_env.items()}
        files = self._files.mounts(assignment.instance, planned.name, self._files_of(assignment, planned))
        return replace(
            settings,
            env={**_told(assignment, values), **settings.env, **filled, **secrets},
            mounts=settings.mounts + files,
        )

    def release(self, assignment: Assignment) -> None:
        """None of its containers runs any more; it may be repeated. Volumes in memory are empty at the next start."""
        self._volumes.release(assignment)

    def remove(self, assignment: Assignment) -> None:
        """The instance is gone for good. Volumes with `keep` stay."""
        self._files.remove(assignment.instance)
        self._volumes.remove(assignment)

    def _files_of(self, assignment: Assignment, planned: PlannedContainer) -> tuple[InstanceFile, ...]:
        values = self._values(assignment, planned)
        configs = [
            InstanceFile(
                f"config-{number}",
                file.path,
                (_filled(file.text, values, file.path) if file.template else file.text).encode(),
                file.mode,
            )
            for number, file in enumerate(planned.files)
        ]
        secrets = [
            InstanceFile(f"secret-{name}", path, _value(values, name, path).encode(), SECRET_MODE)
            for name, path in planned.spec.secrets.items()
        ]
        return (*configs, *secrets, *self._resolver_of(assignment))

    def _resolver_of(self, assignment: Assignment) -> list[InstanceFile]:
        """On the host's network the host's own name servers answer."""
        if assignment.host_network or assignment.service == SYSTEM_SERVICE:
            return []
        text = self._resolver_text(assignment.service)
        return [InstanceFile("resolv.conf", "/etc/resolv.conf", text.encode(), 0o444)]

    def _values(self, assignment: Assignment, planned: PlannedContainer) -> dict[str, str]:
        """Name in a template → text; secrets that are not on this node are left out."""
        facts = {
            "instance.name": assignment.instance,
            "instance.index": str(assignment.index),
            "instance.ip": assignment.ip or self._node.address,
            "node.name": self._node.name,
            "node.address": self._node.address,
        }
        for name, version in planned.secrets.items():
            text = self._secrets.get(secret_ref(assignment.service, name, version))
            if text is not None:
                facts[SECRET + name] = text
        return facts


def _told(assignment: Assignment, values: Mapping[str, str]) -> dict[str, str]:
    """What every container of a user's instance finds in its environment."""
    return {
        "APPLIANCE_INSTANCE": assignment.instance,
        "APPLIANCE_SERVICE": assignment.service,
        "APPLIANCE_DEPLOY": assignment.deploy,
        "APPLIANCE_INDEX": str(assignment.index),
        "APPLIANCE_NODE": values["node.name"],
        "APPLIANCE_IP": values["instance.ip"],
    }


def _filled(text: str, values: Mapping[str, str], where: str) -> str:
    try:
        return fill(text, values)
    except KeyError as error:
        raise _unknown(error.args[0], where) from None


def _value(values: Mapping[str, str], secret: str, where: str) -> str:
    if SECRET + secret not in values:
        raise _unknown(SECRET + secret, where)
    return values[SECRET + secret]


def _unknown(name: str, where: str) -> ApplianceError:
    return ApplianceError(
        f"The node has no value for ${{{name}}}.",
        where=where,
        next="it waits for a manager to send it" if name.startswith(SECRET) else "",
        page="secrets",
    )
