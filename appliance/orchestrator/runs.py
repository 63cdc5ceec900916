"""Runs of jobs: how one is put on record before anything of it starts, and what those on record say of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from appliance.errors import Conflict
from appliance.model.definition import definition
from appliance.model.instance import Instance, instance_name
from appliance.model.job import JobRun, JobState
from appliance.model.service import Revision
from appliance.store.keys import run_name
from appliance.store.state import Change, State
from appliance.store.store import Put

StateOfJob = Literal["due", "running", "succeeded", "failed"]
Reason = Literal["rank", "schedule", "hand"]


def job_states(service: str, revision: Revision, runs: Mapping[str, JobRun]) -> dict[str, StateOfJob]:
    """Of the revision's jobs without a schedule, by name. `runs` are those on record, of any service.

    What has succeeded once needs no other run. A definition is ``running`` too while a run of another definition of
    the same job has not ended: two never run side by side by themselves.
    """
    return {
        job.name: state_of(
            digest_of(revision, job.name),
            [run for run in runs.values() if (run.service, run.job) == (service, job.name)],
        )
        for job in revision.spec.jobs.values()
        if not job.schedule
    }


def state_of(digest: str, runs: list[JobRun]) -> StateOfJob:
    """Of the definition `digest`, from the runs of its job."""
    started = sorted((run for run in runs if run.outcome != "skipped"), key=lambda run: run.number)
    own = [run for run in started if run.digest == digest]
    if any(run.outcome == "succeeded" for run in own):
        return "succeeded"
    if any(not run.outcome for run in started):
        return "running"
    return "failed" if own else "due"


def digest_of(revision: Revision, job: str) -> str:
    """By which two definitions of a job are the same; "" when the revision has no such job."""
    found = definition(revision, job)
    return found.digest if found else ""


def begin(
    state: State,
    service: str,
    job: str,
    revision: Revision,
    *,
    reason: Reason,
    now: str,
    due: str = "",
    ordinal: int = 0,
) -> Change:
    """Put a run and its instances on record, in one commit that happens only if no other run of the job began.

    The revision has the job. `due` and `ordinal` are those of `JobRun`. Raises Conflict for a run by rank when that is
    not due any more.
    """
    name = f"{service}/{job}"
    # Every run is recorded together with the job's state. Asked for first: a run that is recorded from here on makes
    # the commit fail, and an earlier one is seen below.
    expect = state.jobs.unchanged(name)
    known = state.jobs.get(name) or JobState(service=service, job=job)
    made = new_run(known, revision, reason=reason, now=now, due=due, ordinal=ordinal)
    runs = [run for _, run in state.runs.below(f"{name}/")]
    if reason == "rank" and state_of(made.run.digest, runs) != "due":
        raise Conflict("The job has run meanwhile, or runs.", where=name, next="look again")
    return Change((state.jobs.put(name, made.state), *recorded(state, made.run, made.instances)), (expect,))


def recorded(state: State, run: JobRun, instances: tuple[Instance, ...]) -> tuple[Put, ...]:
    """The operations that write a run and instances of it."""
    return (
        state.runs.put(run_name(run.service, run.job, run.number), run),
        *(state.instances.put(instance.name, instance) for instance in instances),
    )


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run, its instances, and what is then remembered of the job."""

    state: JobState
    run: JobRun
    instances: tuple[Instance, ...]


def new_run(
    known: JobState, revision: Revision, *, reason: Reason, now: str, due: str = "", ordinal: int = 0
) -> NewRun:
    """The next run of the job. Pure."""
    number, first = known.last_run + 1, known.next_index
    end = first + revision.spec.jobs[known.job].parallelism
    run = JobRun(
        service=known.service,
        job=known.job,
        number=number,
        revision=revision.number,
        digest=digest_of(revision, known.job),
        reason=reason,
        created_at=now,
        instances=tuple(instance_name(known.service, known.job, index) for index in range(first, end)),
        due=due,
        ordinal=ordinal,
    )
    state = msgspec.structs.replace(
        known,
        last_run=number,
        next_index=end,
        last_due=later(known.last_due, due),
        ordinal=max(known.ordinal, ordinal),
    )
    return NewRun(state, run, tuple(instance_of(run, index) for index in range(first, end)))


def instance_of(run: JobRun, index: int) -> Instance:
    """One of the run's instances."""
    return Instance(
        name=instance_name(run.service, run.job, index),
        service=run.service,
        deploy=run.job,
        index=index,
        revision=run.revision,
        run=run.number,
    )


def later(one: str, other: str) -> str:
    """The later of two moments of a schedule, which are UTC to the second; "" is before all."""
    return max(one, other)
