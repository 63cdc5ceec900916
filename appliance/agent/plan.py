"""What the containers of an assignment are made of, and when they are started again: pure."""

from appliance.agent.container_step import Policies
from appliance.engine.container import NodePlaces, needs_pause, pause_settings, settings_for
from appliance.engine.engine import ContainerSettings
from appliance.model.instance import Assignment


def containers_of(assignment: Assignment, places: NodePlaces) -> tuple[ContainerSettings, ...]:
    """In the order in which they start; without images, which are looked for only when a container is created."""
    made = tuple(settings_for(assignment, planned, "", places) for planned in assignment.containers)
    return (pause_settings(assignment, "", places), *made) if needs_pause(assignment) else made


def policies_of(assignment: Assignment) -> Policies:
    return {planned.name: planned.spec.restart for planned in assignment.containers}
