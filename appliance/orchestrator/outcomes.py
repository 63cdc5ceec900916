"""How a run fares and how it ended, from what its nodes report. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from appliance.model.instance import Instance, InstanceStatus, JobStatus
from appliance.model.job import JobRun, Outcome

Ending = Literal["succeeded", "failed", "unknown", "stopped"]
"""How one instance ended; ``stopped``: as it was told, before it had ended by itself."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is known of a job's instances.

    `bound`: those on a node of the cluster that is not evicted. `given_up`: those of ``once`` jobs on a node that was
    evicted; those of ``normal`` jobs are placed anew.
    """

    instances: Mapping[str, Instance]
    statuses: Mapping[str, InstanceStatus]
    bound: frozenset[str]
    given_up: frozenset[str]


def ending(name: str, seen: Places) -> Ending | None:
    """Of one instance; None while it has not ended, for all that is known."""
    instance, status = seen.instances.get(name), seen.statuses.get(name)
    if status is not None and status.state == "succeeded":
        return "succeeded"
    if status is not None and status.state == "failed":
        return "unknown" if status.job is not None and status.job.lost else "failed"
    if instance is None or name in seen.given_up:
        return "unknown"
    at_rest = name not in seen.bound or (status is not None and status.state in ("stopped", "removed"))
    return "stopped" if instance.desired != "running" and at_rest else None


def observed(run: JobRun, statuses: Mapping[str, InstanceStatus]) -> JobRun:
    """The run with tries, times and exit code as its nodes have reported them."""
    told = [(name, status) for name in run.instances if (status := statuses.get(name)) is not None]
    jobs = [status.job for _, status in told if status.job is not None]
    failed = [status.job for _, status in told if status.job is not None and status.state == "failed"]
    ended = sorted((job for job in failed or jobs if job.exit_code is not None and job.finished_at), key=_finished)
    return msgspec.structs.replace(
        run,
        tries=sum(job.tries for job in jobs),
        exit_code=ended[-1].exit_code if ended else None,
        started_at=min((job.started_at for job in jobs if job.started_at), default=""),
        finished_at=max((job.finished_at for job in jobs), default=""),
    )


def ended(run: JobRun, seen: Places, now: str) -> JobRun | None:
    """The run with its outcome; None while any of its instances has not ended."""
    if run.waiting:
        return msgspec.structs.replace(run, outcome="cancelled", finished_at=now) if run.message else None
    endings = {name: found for name in run.instances if (found := ending(name, seen)) is not None}
    if len(endings) < len(run.instances):
        return None
    outcome = _outcome(frozenset(endings.values()), cancelled=bool(run.message))
    told = observed(run, seen.statuses)
    return msgspec.structs.replace(
        told,
        outcome=outcome,
        finished_at=told.finished_at or now,
        message=run.message or _reason(outcome, endings, seen),
    )


def _outcome(endings: frozenset[Ending], *, cancelled: bool) -> Outcome:
    if endings <= {"succeeded"}:
        return "succeeded"
    if cancelled:
        return "cancelled"
    if "failed" in endings:
        return "failed"
    return "unknown" if "unknown" in endings else "cancelled"


def _reason(outcome: Outcome, endings: Mapping[str, Ending], seen: Places) -> str:
    if outcome not in ("failed", "unknown"):
        return ""
    name = next(name for name, found in endings.items() if found == outcome)
    status = seen.statuses.get(name)
    if outcome == "unknown":
        if name in seen.given_up:
            return f"The node of {name} was evicted before it had ended."
        return f"The node of {name} cannot tell how it ended."
    job = (status.job if status else None) or JobStatus()
    tries = "1 try" if job.tries == 1 else f"{job.tries} tries"
    why = (status.message if status else "") or f"it ended with code {job.exit_code}"
    return f"{name} failed after {tries}: {why.removesuffix('.')}."


def _finished(job: JobStatus) -> str:
    return job.finished_at
