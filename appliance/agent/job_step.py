"""What to do next with an instance of a job: a pure decision.

Each start is written down before it happens, together with what the container was until then. So it is known after
any crash whether the start came about, and a `once` job is never started a second time.
"""

from appliance.agent.diary import News
from appliance.agent.memory import pause_left
from appliance.agent.record import Outcome, Tries
from appliance.agent.step import RUNNING, Create, Remove, Seen, Start, Step, Stop, Write
from appliance.engine.engine import ContainerSettings, ContainerState
from appliance.model.instance import JobStatus
from appliance.model.job import JobPlan
from appliance.model.moment import seconds_of
from appliance.model.wish import Desired


def job_step(job: JobPlan, desired: Desired, settings: ContainerSettings, seen: Seen, now: float) -> Step:
    """`settings`: its only container. After the end it stays, for its log, until the instance is removed."""
    container = seen.containers.get(settings.name)
    if desired == "removed":
        names = tuple(Remove(name) for name in seen.containers)
        return Step("stopping", names) if names else Step("removed")
    if seen.tries.outcome:
        return Step(seen.tries.outcome)
    if desired == "stopped":
        up = container is not None and container.state in RUNNING
        return Step("stopping", (Stop(settings.name),)) if up else Step("stopped")
    if container is None:
        return _without_container(job, settings, seen, now)
    if container.state in RUNNING:
        return _under_way(job, settings.name, container, seen, now)
    if container.started_at and not seen.tries.marks(container):
        return _ended(job, settings, container, seen, now)
    return _not_started(job, settings, container, seen, now)


def job_status(job: JobPlan, tries: Tries, container: ContainerState | None) -> JobStatus:
    """`container`: that of the job, None when there is none."""
    if tries.last is not None:
        return tries.last
    if container is None:
        return JobStatus(tries=tries.count, lost=job.type == "once" and tries.count > 0)
    return JobStatus(
        tries=max(tries.count, 1 if container.started_at else 0),
        exit_code=container.exit_code if container.started_at else None,
        started_at=container.started_at,
        finished_at=container.finished_at if container.state not in RUNNING else "",
        lost=_lost(job, tries, container),
    )


def timed_out(job: JobPlan, container: ContainerState) -> bool:
    """The try was ended for its length. Both moments are of the same clock."""
    if not job.timeout or not container.started_at or not container.finished_at:
        return False
    return seconds_of(container.finished_at) - seconds_of(container.started_at) >= job.timeout


def why_failed(job: JobPlan, tries: Tries, container: ContainerState | None) -> str:
    """One sentence; "" when the newest try has not failed."""
    if tries.outcome:
        return tries.why
    if job.type == "once" and tries.count and (container is None or _lost(job, tries, container)):
        return "it was started, but its container is gone, and a job of type once is not started twice"
    if tries.why:
        return tries.why
    if container is None or container.state in RUNNING:
        return ""
    if timed_out(job, container):
        return f"it ran longer than {job.timeout:g} s and was ended"
    if container.out_of_memory:
        return "it ended for want of memory"
    return f"it ended with code {container.exit_code}" if container.exit_code else ""


def _without_container(job: JobPlan, settings: ContainerSettings, seen: Seen, now: float) -> Step:
    if _spent(job, seen.tries):
        return _over("failed", job, None, seen)
    if (due := seen.due(settings)) > now:
        return Step("backoff", wait=due)
    return Step("starting", (Create(settings, start=False),))


def _under_way(job: JobPlan, name: str, container: ContainerState, seen: Seen, now: float) -> Step:
    if not job.timeout:
        return Step("running")
    left = job.timeout - seen.running_for(container)
    if left <= 0:
        return Step("stopping", (Stop(name),))
    return Step("running", wait=now + min(left, job.timeout))


def _not_started(job: JobPlan, settings: ContainerSettings, container: ContainerState, seen: Seen, now: float) -> Step:
    """Neither for the first time nor, after a try that failed, again."""
    if container.state in ("dead", "removing"):
        spent = _spent(job, seen.tries)
        return _over("failed", job, container, seen) if spent else Step("starting", (Remove(settings.name),))
    if seen.tries.why or not seen.tries.marks(container):
        if _spent(job, seen.tries):
            return _over("failed", job, container, seen)
        return _later(settings, seen, now) or Step("starting", (_try_again(job, container, seen),))
    return _later(settings, seen, now) or Step("starting", (Start(settings.name),))


def _ended(job: JobPlan, settings: ContainerSettings, container: ContainerState, seen: Seen, now: float) -> Step:
    if container.exit_code == 0 and not timed_out(job, container):
        return _over("succeeded", job, container, seen)
    count = max(1, seen.tries.count)
    if _spent(job, Tries(count=count)):
        return _over("failed", job, container, seen)
    pause = pause_left(count, seconds_of(container.finished_at), seen.wall)
    if pause > 0:
        return Step("backoff", wait=now + pause)
    if container.state in ("dead", "removing"):
        return Step("starting", (Remove(settings.name),))
    return Step("starting", (_try_again(job, container, seen),))


def _over(outcome: Outcome, job: JobPlan, container: ContainerState | None, seen: Seen) -> Step:
    """Written down, so that it stays known when somebody removes the container."""
    tries = seen.tries
    over = Tries(
        count=max(tries.count, 1),
        outcome=outcome,
        last=job_status(job, tries, container),
        why=why_failed(job, tries, container),
    )
    code = over.last.exit_code if over.last is not None else None
    because = over.why or (f"it ended with code {code}" if code is not None else "nobody knows how it ended")
    return Step(outcome, (Write(over, News("job", f"{outcome}: {because}", bad=outcome == "failed")),))


def _try_again(job: JobPlan, container: ContainerState, seen: Seen) -> Write:
    tries = seen.tries
    why = why_failed(job, tries, container)
    news = News("job", f"try {tries.count + 1} begins{f': {why}' if why else ''}") if tries.count else None
    return Write(tries.next(container), news)


def _later(settings: ContainerSettings, seen: Seen, now: float) -> Step | None:
    due = seen.due(settings)
    return Step("backoff", wait=due) if due > now else None


def _spent(job: JobPlan, tries: Tries) -> bool:
    """There is no further start."""
    return tries.count > (0 if job.type == "once" else job.retries)


def _lost(job: JobPlan, tries: Tries, container: ContainerState) -> bool:
    """Started once, but not this container."""
    fresh = not container.started_at and not tries.marks(container)
    return job.type == "once" and tries.count > 0 and fresh
