"""How far a service is from what was asked of it: what `--wait` waits for and `why` explains."""

import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from appliance.api.rows import state_of
from appliance.model.instance import InstanceStatus
from appliance.orchestrator.reading import read
from appliance.orchestrator.snapshot import Snapshot
from appliance.store import keys
from appliance.store.state import State


class RankProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One rank of the revision in effect. `done`: nothing of it is waited for, its jobs included."""

    rank: int
    ready: int
    wanted: int
    done: bool


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """`waiting` holds one sentence per instance or job that is not as wished, lowest rank first.

    `done`: nothing is left to wait for. That may be because the rollout of `revision` failed: then `failed` says why,
    and `in_effect` is the revision that the instances have.
    """

    service: str
    done: bool
    ready: int = 0
    wanted: int = 0
    revision: int = 0
    in_effect: int = 0
    waiting: tuple[str, ...] = ()
    failed: str = ""
    ranks: tuple[RankProgress, ...] = ()


def progress(state: State, service: str) -> Progress:
    """A service that does not exist (any more) is done."""
    seen = read(state, service)
    if seen is None:
        return Progress(service=service, done=True)
    head, instances = seen.head, seen.instances
    if head.deleted:
        waiting = tuple(f"{name} is being removed." for name in instances) or ("The last traces are being removed.",)
        return Progress(service=service, done=False, revision=head.revision, waiting=waiting)
    if seen.target is None:
        waiting = ("Its revision is not known to this manager yet.",)
        return Progress(service=service, done=False, revision=head.revision, waiting=waiting)
    ranks = {rank: tuple(_rank_waits(state, seen, rank)) for rank in seen.ranks}
    surplus = [f"{name} is being removed." for name in seen.deployed if name not in seen.slots]
    waiting = (*(each for waits in ranks.values() for each in waits), *surplus)
    rows = tuple(_rank_row(seen, rank, not waits) for rank, waits in ranks.items())
    failed = seen.rollout.reason if seen.failed and seen.rollout else ""
    return Progress(
        service=service,
        done=_is_done(seen, bool(waiting)),
        ready=sum(row.ready for row in rows),
        wanted=sum(row.wanted for row in rows),
        revision=head.revision,
        in_effect=seen.target.number,
        waiting=waiting or _unsettled(seen),
        failed=failed,
        ranks=rows,
    )


def _is_done(seen: Snapshot, waits: bool) -> bool:
    if seen.failed and not seen.went_back:
        return True  # it stays as it is until somebody changes something
    return not waits and not _unsettled(seen)


def _unsettled(seen: Snapshot) -> tuple[str, ...]:
    """What an orchestrator has yet to say although every instance is as wished."""
    known = seen.rollout
    if seen.head.halted or seen.failed or (known and known.revision == seen.head.revision and known.state == "done"):
        return ()
    if seen.head.paused:
        return (f"The rollout is paused; go on with: appliance rollout resume {seen.head.service}",)
    return (f"The rollout of revision {seen.head.revision} is not complete yet.",)


def _rank_waits(state: State, seen: Snapshot, rank: int) -> Iterator[str]:
    assert seen.target is not None
    for name, slot in seen.slots.items():
        if slot.deploy.rank == rank and (sentence := _missing(state, seen, name)):
            yield sentence
    for job, how in seen.jobs.items():
        if seen.target.spec.jobs[job].rank == rank and how != "succeeded" and not seen.head.halted:
            yield f"The job {seen.head.service}/{job} {_JOBS[how]}"


_JOBS = {"due": "waits for its turn.", "running": "has not ended.", "failed": "has failed."}


def _rank_row(seen: Snapshot, rank: int, done: bool) -> RankProgress:
    names = [name for name, slot in seen.slots.items() if slot.deploy.rank == rank]
    ready = sum(name in seen.instances and seen.is_ready(seen.instances[name]) for name in names)
    return RankProgress(rank=rank, ready=ready, wanted=len(names), done=done)


def _missing(state: State, seen: Snapshot, name: str) -> str:
    """Empty when the instance is as wished."""
    head, instance = seen.head, seen.instances.get(name)
    binding, refusal = state.bindings.get(name), state.refusals.get(name)
    if instance is None or not seen.is_current(instance):
        return f"{name} waits for its turn."
    if name in head.moves and instance.move != head.moves[name].number:
        return f"{name} is being moved."
    if binding is None:
        return f"{name} has no node: {refusal.reason}" if refusal else f"{name} waits for a node."
    if refusal:
        return f"{name} cannot be updated: {refusal.reason}."
    status = seen.statuses.get(name)
    shown = state_of(binding, status, state.node_status.get(binding.node))
    reason = f": {status.message}" if status and status.message else "."
    wished = "stopped" if head.halted or name in head.stopped else "running"
    if status is None or shown != wished:
        return f"{name} is {shown}{reason}"
    if wished == "stopped":
        return ""
    if _seen(status) != (instance.revision, head.restarts.get(name, 0), head.generation):
        return f"{name} is being changed{reason}"
    return "" if status.ready else f"{name} runs and is not ready{reason}"


def _seen(status: InstanceStatus) -> tuple[int, int, int]:
    return status.revision, status.restart, status.generation


class Changes:
    """Lets request threads sleep until the copy changes in a way that can move a service's progress."""

    def __init__(self, state: State) -> None:
        self._changed = threading.Condition()
        self._count = 0
        for prefix in (keys.SERVICES, keys.RUNS, keys.INSTANCES, keys.BINDINGS, keys.REFUSALS, keys.ROOT + "status/"):
            state.copy.subscribe(prefix, self._notice)

    def _notice(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_until(self, satisfied: Callable[[], bool], timeout: float) -> bool:
        """Whether `satisfied` became true; it is asked again after every change."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen = self._count
            if satisfied():
                return True
            with self._changed:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if self._count == seen:
                    self._changed.wait(left)
