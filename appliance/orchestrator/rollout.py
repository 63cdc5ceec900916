"""How far a service is with its revision, and when that has failed. Pure."""

from collections.abc import Hashable, Iterator

import msgspec

from appliance.model.definition import definition
from appliance.model.instance import Instance
from appliance.model.service import Rollout
from appliance.orchestrator.ranks import is_complete, lacks
from appliance.orchestrator.snapshot import Snapshot


def rollout_now(seen: Snapshot) -> Rollout | None:
    """The record as it should be. None before the wanted revision is known and while the service is deleted.

    A failed rollout stays failed until another revision is wanted, unless the service could not go back and everything
    came right after all.
    """
    if seen.head.deleted or seen.head.revision not in seen.revisions:
        return None
    known = seen.rollout
    if known is None or known.revision != seen.head.revision:
        return _begun(seen, known)
    if known.state == "done":
        return known
    if not seen.went_back and not seen.head.halted and is_complete(seen):
        return msgspec.structs.replace(known, state="done", reason="", ended_at=seen.now)
    if known.state == "failed":
        return known
    if seen.head.paused or seen.head.halted:
        return msgspec.structs.replace(known, state="paused" if seen.head.paused else "running")
    if reason := next(_failures(seen), ""):
        return msgspec.structs.replace(known, state="failed", reason=reason, ended_at=seen.now)
    return msgspec.structs.replace(known, state="running")


def signs_of_progress(seen: Snapshot) -> Hashable:
    """Differs after any progress of the service."""
    instances = tuple(
        (name, each.revision, each.desired, each.generation, name in seen.bindings, seen.is_ready(each))
        for name, each in seen.deployed.items()
    )
    return instances, tuple((name, run.outcome) for name, run in seen.runs.items())


def is_timed(seen: Snapshot) -> bool:
    """Whether time without progress counts: not while people or other services are waited for, nor nodes."""
    held = seen.head.paused or seen.head.halted or bool(seen.waits_for)
    return not held and all(seen.is_reachable(each) for name, each in seen.instances.items() if name in seen.slots)


def _begun(seen: Snapshot, before: Rollout | None) -> Rollout:
    previous = 0 if before is None else before.revision if before.state == "done" else before.previous
    return Rollout(
        service=seen.head.service,
        revision=seen.head.revision,
        state="paused" if seen.head.paused else "running",
        previous=previous,
        started_at=seen.now,
    )


def _failures(seen: Snapshot) -> Iterator[str]:
    """A sentence for each thing that makes the rollout a failure, lowest rank first."""
    for rank in seen.ranks:
        for name, slot in seen.slots.items():
            instance = seen.instances.get(name)
            if slot.deploy.rank == rank and instance is not None:
                yield from _failing(seen, rank, instance)
        for job, state in seen.jobs.items():
            if state == "failed" and seen.target and seen.target.spec.jobs[job].rank == rank:
                yield f"rank {rank}: {_run_that_failed(seen, job)}"
        if seen.idle >= _deadline(seen) and (lack := next(lacks(seen, rank), "")):
            yield f"rank {rank}: no progress for {_deadline(seen):g} seconds: {lack}"


def _failing(seen: Snapshot, rank: int, instance: Instance) -> Iterator[str]:
    status = seen.statuses.get(instance.name)
    if status is None or status.failures < _tries(seen) or seen.is_ready(instance):
        return
    if status.revision == instance.revision and seen.is_current(instance) and _is_news(seen, instance):
        why = f": {status.message}" if status.message else ""
        yield f"rank {rank}: {instance.name} failed {status.failures} times in a row{why}"


def _is_news(seen: Snapshot, instance: Instance) -> bool:
    """Whether the revision to go back to has it otherwise: for what is the same there, going back is no help."""
    before = seen.revisions.get(seen.rollout.previous) if seen.rollout else None
    wanted = seen.revisions[seen.head.revision]
    return before is None or definition(before, instance.deploy) != definition(wanted, instance.deploy)


def _run_that_failed(seen: Snapshot, job: str) -> str:
    failed = [run for run in seen.runs.values() if run.job == job and run.outcome in ("failed", "unknown", "cancelled")]
    if not failed:
        return f"job {seen.head.service}/{job} failed"
    last = max(failed, key=lambda run: run.number)
    code = f"it ended with code {last.exit_code}" if last.exit_code is not None else ""
    why = last.message or code
    return f"job {last.name} {last.outcome if last.outcome != 'unknown' else 'is lost'}{f': {why}' if why else ''}"


def _deadline(seen: Snapshot) -> float:
    wanted = seen.revisions.get(seen.head.revision)
    return wanted.spec.rollout.deadline if wanted else float("inf")


def _tries(seen: Snapshot) -> int:
    return seen.revisions[seen.head.revision].spec.rollout.tries


def next_look(seen: Snapshot) -> float | None:
    """Seconds until time alone may change a decision about the service; None : never."""
    waits = [_deadline(seen) - seen.idle] if seen.rollout is not None and seen.rollout.state != "done" else []
    for name, slot in seen.slots.items():
        instance, node = seen.instances.get(name), seen.bindings.get(name, "")
        if slot.deploy.min_ready and instance and seen.ready_for is not None and seen.is_ready(instance):
            waits.append(slot.deploy.min_ready - seen.ready_for.get(name, 0.0))
        if slot.deploy.move_after is not None and node in seen.unreachable:
            waits.append(slot.deploy.move_after - seen.unreachable[node])
    return min((wait for wait in waits if wait > 0), default=None)
