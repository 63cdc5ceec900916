"""What becomes of one job: which runs begin, end and are forgotten. Pure: from what is seen of it to what it is to be.

The steps below are taken one after the other, each on what the one before made of it, so that every value is written
once however many reasons there are to change it. What a step needs is on record before the next cycle acts on it:
being repeated after a break at any point does no harm.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from appliance.model.instance import Instance
from appliance.model.job import Job, JobRun, JobState
from appliance.model.moment import moment_of, text_of
from appliance.model.service import Revision, ServiceHead
from appliance.model.wish import Desired
from appliance.orchestrator.outcomes import Places, ended, ending
from appliance.orchestrator.runs import Reason, digest_of, instance_of, later, new_run
from appliance.orchestrator.schedule import newest_moment, next_moment

LATE = 60.0
"""Seconds after which a moment that nobody dealt with has been missed."""
FAR_AHEAD = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Defined:
    """The job as one revision has it."""

    job: Job
    digest: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One job as of one moment.

    `head`: None when the service is gone. `revision`: the one in effect, None when this manager does not know it yet.
    `defined`: the job by the number of each revision that is kept and has it. `runs` are by number, in its order.
    `places` holds this job's instances only. `now` is UTC by this manager's clock. `astray`: for a while already the
    newest moment that was dealt with lies far ahead of it (`is_astray`).
    """

    service: str
    job: str
    head: ServiceHead | None
    revision: Revision | None
    defined: Mapping[int, Defined]
    state: JobState | None
    runs: Mapping[int, JobRun]
    places: Places
    now: datetime
    astray: bool = False


def decide(seen: Seen) -> Seen:
    """The job as it is to be; what is left out of `runs`, `places.instances` and `state` is to be forgotten."""
    for step in (_end, _cancel, _begin_what_is_due, _start_waiting, _stop, _forget):
        seen = step(seen)
    return seen


def wakes_at(seen: Seen) -> datetime | None:
    """The next moment of the job's schedule, None when nothing is to happen by the clock."""
    job = _wanted(seen)
    if job is None or not job.schedule or seen.state is None or not seen.state.last_due:
        return None
    return next_moment(job.schedule, job.zone, moment_of(seen.state.last_due))


def is_astray(state: JobState | None, now: datetime) -> bool:
    """Whether the newest moment that was dealt with is one that only a wrong clock shows: that of now, or of then."""
    return state is not None and state.last_due != "" and moment_of(state.last_due) - now > FAR_AHEAD


def _end(seen: Seen) -> Seen:
    for run in _active(seen):
        seen = _with_run(seen, ended(run, seen.places, _text(seen.now)) or run)
    return seen


def _cancel(seen: Seen) -> Seen:
    """Say of each run that is to end why; it is stopped below, and has ended when its instances have."""
    for run in _active(seen):
        reason = "" if run.message else _reason_to_end(seen, run)
        if reason:
            seen = _with_run(seen, msgspec.structs.replace(run, message=reason))
    return seen


def _reason_to_end(seen: Seen, run: JobRun) -> str:
    if _is_gone(seen):
        return "The service was deleted."
    if not _is_defined(seen):
        return "The job is no longer part of the service."
    if seen.head is not None and run.name in seen.head.cancelled:
        return "Cancelled by hand."
    job = _wanted(seen)
    if run.reason != "rank" or job is None or job.schedule or job.type == "once" or seen.revision is None:
        return ""
    if run.digest == digest_of(seen.revision, seen.job):
        return ""
    return f"Revision {seen.revision.number} has another definition of the job."


def _begin_what_is_due(seen: Seen) -> Seen:
    """At most one run, so that a commit can hold it; the next one is the next cycle's."""
    answered = _answer(seen)
    return _keep_time(seen) if answered is seen else answered


def _answer(seen: Seen) -> Seen:
    asked = seen.head.runs.get(seen.job, 0) if seen.head else 0
    done = _state(seen).ordinal
    return _begin(seen, "hand", ordinal=done + 1) if _wanted(seen) and asked > done else seen


def _keep_time(seen: Seen) -> Seen:
    """The newest moment that is due, if any; those before it are dealt with by the same run."""
    if _is_gone(seen) or seen.revision is None:
        return seen
    job, state = _wanted(seen), _state(seen)
    line = f"{job.schedule} {job.zone}" if job and job.schedule else ""
    if state.schedule != line:
        # What another schedule, or none, left undone is not made up for.
        since = later(state.last_due, _text(seen.now)) if line else state.last_due
        return replace(seen, state=msgspec.structs.replace(state, schedule=line, last_due=since))
    if line and seen.astray:
        return replace(seen, state=msgspec.structs.replace(state, last_due=_text(seen.now)))
    first = wakes_at(seen)
    if job is None or first is None or first > seen.now:
        return seen
    due = newest_moment(job.schedule, job.zone, moment_of(state.last_due), seen.now) or first
    if seen.head is not None and seen.head.halted:
        return replace(seen, state=msgspec.structs.replace(state, last_due=_text(due)))
    if job.missed == "skip" and (seen.now - due).total_seconds() > LATE:
        return _skip(seen, "No manager ran when it was due.", "schedule", due=_text(due))
    return _begin(seen, "schedule", due=_text(due))


def _begin(seen: Seen, reason: Reason, *, due: str = "", ordinal: int = 0) -> Seen:
    """A new run, as the job's `overlap` has it."""
    job, active = _wanted(seen), _active(seen)
    if job is None or seen.revision is None:
        return seen
    if active and job.overlap == "skip":
        return _skip(seen, f"Run {active[-1].number} had not ended.", reason, due=due, ordinal=ordinal)
    made = new_run(_state(seen), seen.revision, reason=reason, now=_text(seen.now), due=due, ordinal=ordinal)
    seen = replace(seen, state=made.state)
    if active and job.overlap == "replace":
        for run in active:
            message = run.message or f"Replaced by run {made.run.number}."
            seen = _with_run(seen, msgspec.structs.replace(run, message=message))
        return _with_run(seen, msgspec.structs.replace(made.run, waiting=True))
    return _with_instances(_with_run(seen, made.run), made.instances)


def _skip(seen: Seen, message: str, reason: Reason, *, due: str = "", ordinal: int = 0) -> Seen:
    """The record of a run that never starts."""
    if seen.revision is None:
        return seen
    now, state = _text(seen.now), _state(seen)
    made = new_run(state, seen.revision, reason=reason, now=now, due=due, ordinal=ordinal)
    run = msgspec.structs.replace(made.run, instances=(), outcome="skipped", finished_at=now, message=message)
    return _with_run(
        replace(seen, state=msgspec.structs.replace(made.state, next_index=state.next_index)),
        run,
    )


def _start_waiting(seen: Seen) -> Seen:
    for run in _active(seen):
        first = _active(seen)[0]
        if run.waiting and not run.message and run.number == first.number:
            indices = (int(name.rpartition("-")[2]) for name in run.instances)
            seen = _with_instances(seen, [instance_of(run, index) for index in indices])
            seen = _with_run(seen, msgspec.structs.replace(run, waiting=False))
    return seen


def _stop(seen: Seen) -> Seen:
    """The instances of runs that end or have ended, unless these ended by themselves."""
    stopped = []
    for run in seen.runs.values():
        endings = {name: ending(name, seen.places) for name in run.instances}
        if not (run.outcome or run.message or set(endings.values()) & {"failed", "unknown"}):
            continue
        for name, found in endings.items():
            instance = seen.places.instances.get(name)
            if instance is not None and instance.desired == "running" and found in (None, "unknown"):
                desired: Desired = "stopped" if name in seen.places.bound else "removed"
                stopped.append(msgspec.structs.replace(instance, desired=desired))
    return _with_instances(seen, stopped)


def _forget(seen: Seen) -> Seen:
    """First the instances, whose containers keep the logs until then, then the runs, at last the job."""
    old = _old(seen)
    left = {}
    for name, instance in seen.places.instances.items():
        run = seen.runs.get(instance.run)
        if run is not None and run.number not in old and name in run.instances:
            left[name] = instance
        elif not _is_removed(instance, seen.places):
            left[name] = msgspec.structs.replace(instance, desired="removed")
    used = {instance.run for instance in left.values()} | _evidence(seen)
    runs = {number: run for number, run in seen.runs.items() if number not in old or number in used}
    state = None if _is_gone(seen) and not runs and not left else seen.state
    return replace(seen, state=state, runs=runs, places=replace(seen.places, instances=left))


def _old(seen: Seen) -> frozenset[int]:
    """Numbers of the ended runs that are not remembered: the newest `keep` are, and as many that were skipped."""
    runs = [run for run in seen.runs.values() if run.outcome]
    if not _is_defined(seen):
        return frozenset(run.number for run in runs)
    job = _wanted(seen) or (seen.defined[seen.head.revision].job if seen.head and seen.revision else None)
    if job is None:
        return frozenset()
    skipped = [run.number for run in runs if run.outcome == "skipped"]
    others = [run.number for run in runs if run.outcome != "skipped"]
    return frozenset(skipped[: max(0, len(skipped) - job.keep)] + others[: max(0, len(others) - job.keep)])


def _evidence(seen: Seen) -> frozenset[int]:
    """Numbers of the runs by which it is known that a definition of a kept revision has run.

    Without them, going back to that revision would run its job once more.
    """
    if _is_gone(seen):
        return frozenset()
    digests = {each.digest for each in seen.defined.values() if not each.job.schedule}
    started = [run for run in seen.runs.values() if run.digest in digests and run.outcome != "skipped"]
    newest = {run.digest: run.number for run in started}
    succeeded = {run.digest: run.number for run in started if run.outcome == "succeeded"}
    return frozenset({*newest.values(), *succeeded.values()})


def _is_removed(instance: Instance, places: Places) -> bool:
    """Whether nothing of it is left on any node of the cluster."""
    status = places.statuses.get(instance.name)
    if instance.name not in places.bound:
        return True
    return instance.desired == "removed" and status is not None and status.state == "removed"


def _is_gone(seen: Seen) -> bool:
    return seen.head is None or seen.head.deleted


def _is_defined(seen: Seen) -> bool:
    """A revision that failed still counts: whoever looks for the reason wants its logs."""
    if seen.head is None or seen.head.deleted:
        return False
    if seen.revision is None:
        return True
    return seen.head.revision in seen.defined or seen.revision.number in seen.defined


def _wanted(seen: Seen) -> Job | None:
    """The job as it is in effect."""
    if _is_gone(seen) or seen.revision is None:
        return None
    return seen.revision.spec.jobs.get(seen.job)


def _state(seen: Seen) -> JobState:
    return seen.state or JobState(service=seen.service, job=seen.job)


def _active(seen: Seen) -> list[JobRun]:
    return [run for run in seen.runs.values() if not run.outcome]


def _with_run(seen: Seen, run: JobRun) -> Seen:
    return replace(seen, runs={**seen.runs, run.number: run})


def _with_instances(seen: Seen, instances: Iterable[Instance]) -> Seen:
    changed = {instance.name: instance for instance in instances}
    return replace(seen, places=replace(seen.places, instances={**seen.places.instances, **changed}))


def _text(moment: datetime) -> str:
    return text_of(moment, "seconds")
