"""Jobs: ask for a run, end one, follow one."""

import hashlib

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.heads import change_head
from appliance.api.job_rows import job_rows
from appliance.api.progress import Changes
from appliance.api.revisions import in_effect
from appliance.api.rows import Row
from appliance.errors import NotFound, Refused
from appliance.model.job import Job, JobRun
from appliance.model.service import Revision, ServiceHead
from appliance.store.state import State

LONGEST_WAIT = 30.0
RETRIED = ("failed", "unknown", "cancelled")
"""Outcomes after which a run may be tried again."""


class RunWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`retry`: only if the last run did not succeed."""

    retry: bool = False


class CancelWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`run`: its number; None for all that have not ended."""

    run: int | None = None


def routes(context: Context, changes: Changes) -> list[Route]:
    def listing(call: Call) -> object:
        return job_rows(context.state, call.query.get("service", ""))

    def follow(call: Call) -> object:
        return _follow(context.state, changes, call)

    def run_(call: Call) -> object:
        return run(context, call.path["service"], call.path["job"], call.data(RunWish))

    def cancel_(call: Call) -> object:
        return cancel(context, call.path["service"], call.path["job"], call.data(CancelWish))

    one = "/api/jobs/<service>/<job>"
    return [
        Route("GET", "/api/jobs", listing, summary="List jobs and their runs"),
        Route("GET", one, follow, summary="Show a job, or wait until it changes"),
        Route("POST", f"{one}/run", run_, summary="Ask for a run of a job", body=RunWish),
        Route("POST", f"{one}/cancel", cancel_, summary="Stop runs that have not ended", body=CancelWish),
    ]


def run(context: Context, service: str, job: str, wish: RunWish) -> Row:
    """Ask for one more run; `ordinal` in the answer is the one that the run will carry."""

    def change(head: ServiceHead, _: Revision) -> ServiceHead:
        found = _job(context.state, head, job)
        _refuse_unfit(context.state, head, found, wish)
        return msgspec.structs.replace(
            head,
            runs={**head.runs, job: head.runs.get(job, 0) + 1},
            cancelled=_still_cancelled(context.state, head),
        )

    head = change_head(context, service, change)
    return {"job": f"{service}/{job}", "ordinal": head.runs[job]}


def cancel(context: Context, service: str, job: str, wish: CancelWish) -> Row:
    """Have runs that have not ended end; they are on record as cancelled once they have stopped."""
    numbers: list[int] = []

    def change(head: ServiceHead, _: Revision) -> ServiceHead:
        numbers[:] = _to_cancel(context.state, service, job, wish)
        names = (f"{service}/{job}/{number}" for number in numbers)
        cancelled = tuple(dict.fromkeys((*_still_cancelled(context.state, head), *names)))
        return msgspec.structs.replace(head, cancelled=cancelled)

    change_head(context, service, change)
    return {"job": f"{service}/{job}", "runs": numbers}


def _follow(state: State, changes: Changes, call: Call) -> Row:
    """Answers once the job is no longer as it was under the tag `seen`, or the timeout is over."""
    service, job, seen = call.path["service"], call.path["job"], call.query.get("seen", "")
    found = _tagged(state, service, job)

    def moved() -> bool:
        nonlocal found
        found = _tagged(state, service, job)
        return bool(found["tag"] != seen)

    changes.wait_until(moved, call.seconds("timeout", 0.0, LONGEST_WAIT))
    return found


def _tagged(state: State, service: str, job: str) -> Row:
    rows = [row for row in job_rows(state, service) if row["job"] == f"{service}/{job}"]
    if not rows:
        raise _unknown(state, service, job)
    tag = hashlib.sha256(msgspec.json.encode(rows[0])).hexdigest()[:16]
    return {**rows[0], "tag": tag}


def _job(state: State, head: ServiceHead, name: str) -> Job:
    revision = in_effect(state, head)
    job = revision.spec.jobs.get(name) if revision else None
    if job is None:
        raise _unknown(state, head.service, name)
    return job


def _unknown(state: State, service: str, job: str) -> NotFound:
    head = state.services.get(service)
    revision = in_effect(state, head) if head else None
    known = ", ".join(revision.spec.jobs if revision else ())
    return NotFound(
        f"{service} has no job called {job}.",
        why=f"it has {known}" if known else "it has none",
        next=f"see: appliance job ls {service}",
    )


def _refuse_unfit(state: State, head: ServiceHead, job: Job, wish: RunWish) -> None:
    if head.halted:
        raise Refused(f"{head.service} is stopped.", next=f"start it first: appliance start {head.service}")
    runs = _runs(state, head.service, job.name)
    if job.overlap == "skip" or wish.retry:
        _refuse_beside_another(state, head, job.name, runs)
    if wish.retry:
        _refuse_retry(f"{head.service}/{job.name}", runs)


def _refuse_beside_another(state: State, head: ServiceHead, job: str, runs: list[JobRun]) -> None:
    name, known = f"{head.service}/{job}", state.jobs.get(f"{head.service}/{job}")
    active = [run for run in runs if not run.outcome]
    if active:
        raise Refused(
            f"Run {active[-1].number} of {name} has not ended.",
            next=f"wait for it, or end it: appliance job cancel {name}",
            page="jobs",
        )
    if head.runs.get(job, 0) > (known.ordinal if known else 0):
        raise Refused(f"A run of {name} was asked for already.", next=f"see: appliance job ls {head.service}")


def _refuse_retry(name: str, runs: list[JobRun]) -> None:
    if not runs or runs[-1].outcome not in RETRIED:
        raise Refused(
            f"Run {runs[-1].number} of {name} succeeded." if runs else f"{name} has not run yet.",
            why="only a run that failed, was cancelled or ended unknown is tried again",
            next=f"to run it all the same: appliance job run {name}",
            page="jobs",
        )


def _runs(state: State, service: str, job: str) -> list[JobRun]:
    """Those that were to start, in their order."""
    return [run for _, run in state.runs.below(f"{service}/{job}/") if run.outcome != "skipped"]


def _to_cancel(state: State, service: str, job: str, wish: CancelWish) -> list[int]:
    name, see = f"{service}/{job}", f"see: appliance job ls {service}"
    runs = {run.number: run for run in _runs(state, service, job)}
    if wish.run is None:
        numbers = [number for number, run in runs.items() if not run.outcome]
        if not numbers:
            raise Refused(f"No run of {name} is under way.", next=see)
        return numbers
    if wish.run not in runs:
        raise NotFound(f"{name} has no run {wish.run} on record.", next=see)
    if outcome := runs[wish.run].outcome:
        raise Refused(f"Run {wish.run} of {name} has ended: {outcome}.", next=see)
    return [wish.run]


def _still_cancelled(state: State, head: ServiceHead) -> tuple[str, ...]:
    """Those of the cancelled runs that have not ended."""
    active = {run.name for _, run in state.runs.below(f"{head.service}/") if not run.outcome}
    return tuple(name for name in head.cancelled if name in active)
