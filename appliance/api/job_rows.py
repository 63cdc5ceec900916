"""Jobs and their runs as people and scripts see them. Reads only."""

import msgspec

from appliance.api.revisions import in_effect
from appliance.api.rows import Row
from appliance.errors import NotFound
from appliance.model.job import Job, JobRun, JobState
from appliance.model.moment import moment_of, text_of
from appliance.model.service import Revision, ServiceHead
from appliance.orchestrator.outcomes import observed
from appliance.orchestrator.runs import digest_of, state_of
from appliance.orchestrator.schedule import next_moment
from appliance.store.state import State


def job_rows(state: State, service: str = "") -> list[Row]:
    """One row per job, of one service or of all; also those that left their service and have runs on record."""
    heads = state.services.all()
    if service and service not in heads:
        raise NotFound(f"There is no service called {service}.", next="see: appliance ps")
    rows = []
    for name, head in heads.items():
        if service in ("", name):
            revision = in_effect(state, head)
            runs: dict[str, list[JobRun]] = {job: [] for job in (revision.spec.jobs if revision else ())}
            for _, run in state.runs.below(f"{name}/"):
                runs.setdefault(run.job, []).append(run)
            rows += [_row(state, head, revision, job, runs[job]) for job in sorted(runs)]
    return rows


def _row(state: State, head: ServiceHead, revision: Revision | None, name: str, runs: list[JobRun]) -> Row:
    job = revision.spec.jobs.get(name) if revision else None
    known = state.jobs.get(f"{head.service}/{name}")
    return {
        "job": f"{head.service}/{name}",
        "type": job.type if job else "",
        "state": _state(job, revision, runs),
        "schedule": job.schedule if job else "",
        "zone": job.zone if job and job.schedule else "",
        "next": _next(job, head, known),
        "retries": job.retries if job else 0,
        "runs": [_run_row(state, each) for each in runs],
    }


def _state(job: Job | None, revision: Revision | None, runs: list[JobRun]) -> str:
    """``due``, ``scheduled``, ``running``, the outcome of its newest run, or ``removed`` from its service."""
    if any(not run.outcome for run in runs):
        return "running"
    if job is None or revision is None:
        return "removed"
    ran = [run for run in runs if run.outcome != "skipped"]
    if job.schedule:
        return ran[-1].outcome if ran else "scheduled"
    found = state_of(digest_of(revision, job.name), ran)
    return ran[-1].outcome if found == "failed" else found


def _next(job: Job | None, head: ServiceHead, known: JobState | None) -> str:
    if job is None or not job.schedule or head.halted or known is None or not known.last_due:
        return ""
    moment = next_moment(job.schedule, job.zone, moment_of(known.last_due))
    return text_of(moment, "seconds") if moment else ""


def _run_row(state: State, run: JobRun) -> Row:
    if not run.outcome:
        statuses = {name: each for name in run.instances if (each := state.instance_status.get(name))}
        run = msgspec.structs.replace(observed(run, statuses), finished_at="")
    return {
        "run": run.name,
        "number": run.number,
        "reason": run.reason,
        "revision": run.revision,
        "created_at": run.created_at,
        "due": run.due,
        "ordinal": run.ordinal,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "exit_code": run.exit_code,
        "outcome": run.outcome,
        "tries": run.tries,
        "message": run.message,
        "instances": [name for name in run.instances if state.instances.get(name)],
    }
