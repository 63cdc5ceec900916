"""What to do next with one instance: a pure decision from what is wanted and what was seen.

It is total: whatever was seen, there is a step, and with an engine that obeys, the steps come to an end.
"""

from appliance.agent.container_step import Policies, container_step
from appliance.agent.job_step import job_step
from appliance.agent.step import Seen, Step
from appliance.engine.container import NodePlaces, needs_pause, pause_settings, settings_for
from appliance.engine.engine import ContainerSettings
from appliance.model.instance import Assignment


def instance_step(assignment: Assignment, places: NodePlaces, seen: Seen, now: float) -> Step:
    """`now` in seconds of the supervisor's clock."""
    wanted = containers_of(assignment, places)
    if assignment.job is not None:
        return job_step(assignment.job, assignment.desired, wanted[-1], seen, now)
    return container_step(assignment.desired, wanted, seen, now, policies_of(assignment))


def containers_of(assignment: Assignment, places: NodePlaces) -> tuple[ContainerSettings, ...]:
    """In the order in which they start; without images, which are looked for only when a container is created."""
    made = tuple(settings_for(assignment, planned, "", places) for planned in assignment.containers)
    return (pause_settings(assignment, "", places), *made) if needs_pause(assignment) else made


def policies_of(assignment: Assignment) -> Policies:
    return {planned.name: planned.spec.restart for planned in assignment.containers}
