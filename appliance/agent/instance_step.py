"""What to do next with one instance: a pure decision from what is wanted and what was seen.

It is total: whatever was seen, there is a step; and with an engine that obeys, the steps come to an end.
"""

from appliance.agent.container_step import container_step
from appliance.agent.hook_step import has_life, hook_step
from appliance.agent.job_step import job_step
from appliance.agent.plan import containers_of, policies_of
from appliance.agent.step import Seen, Step
from appliance.engine.container import NodePlaces
from appliance.model.instance import Assignment


def instance_step(assignment: Assignment, places: NodePlaces, seen: Seen, now: float) -> Step:
    """`now` in seconds of the supervisor's clock."""
    wanted = containers_of(assignment, places)
    if assignment.job is not None:
        return job_step(assignment.job, assignment.desired, wanted[-1], seen, now)
    if has_life(assignment, seen.life):
        return hook_step(assignment, places, seen, now)
    return container_step(assignment.desired, wanted, seen, now, policies_of(assignment))
