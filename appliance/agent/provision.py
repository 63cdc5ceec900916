"""What has to lie on the node before an instance's containers start, and goes with the instance."""

from appliance.agent.volumes import Volumes
from appliance.engine.engine import ContainerSettings
from appliance.model.instance import Assignment


class Provision:
    """Thread-safe; an instance is never worked on by two."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def missing(self, assignment: Assignment) -> tuple[str, ...]:
        """What has not reached this node yet and the instance cannot start without, by name."""
        return ()

    def prepare(self, assignment: Assignment) -> None:
        """Make all of it; what is there already is left as it is. Call it before a container is created or started."""
        self._volumes.prepare(assignment)

    def complete(self, assignment: Assignment, settings: ContainerSettings) -> ContainerSettings:
        """The settings with what only this node knows put in; call it last, since secrets are among it."""
        return settings

    def remove(self, assignment: Assignment) -> None:
        """The instance is gone for good. Volumes with `keep` stay."""
        self._volumes.remove(assignment)
