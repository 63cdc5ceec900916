"""Why a service is not, or not yet, as was asked: sentences for people, from the same rules that decide. Pure."""

from collections.abc import Iterator

from appliance.model.instance import Instance
from appliance.model.service import Deploy
from appliance.orchestrator.moves import leaving, why_it_stays
from appliance.orchestrator.ranks import changed, due, held_back, is_complete, lacks, most_unavailable, outrun
from appliance.orchestrator.reading import read
from appliance.orchestrator.snapshot import Snapshot
from appliance.store.state import State


def reasons(state: State, service: str) -> tuple[str, ...]:
    """Empty when all is as asked, and for a service that does not exist."""
    seen = read(state, service)
    return reasons_of(seen) if seen else ()


def reasons_of(seen: Snapshot) -> tuple[str, ...]:
    if seen.head.deleted:
        return tuple(_removal(seen))
    if seen.target is None:
        return (f"Revision {seen.head.revision} of {seen.head.service} is not known to this manager yet.",)
    return (*_failure(seen), *_pause(seen), *_progress(seen), *_kept(seen), *_moves(seen))


def _removal(seen: Snapshot) -> Iterator[str]:
    left = list(seen.instances.values())
    rank = max((seen.rank_of(each) for each in left), default=0)
    last = [each for each in left if seen.rank_of(each) == rank]
    if len(left) > len(last):
        yield f"{seen.head.service} is removed from the highest rank down; rank {rank} has its turn."
    yield from _cut_off(seen, last)


def _failure(seen: Snapshot) -> Iterator[str]:
    known = seen.rollout
    if known is None or not seen.failed:
        return
    yield f"The rollout of revision {known.revision} failed: {known.reason}."
    if seen.went_back:
        done = "is going" if changed(seen) else "went"
        yield f"{seen.head.service} {done} back to revision {known.previous}, until another one is applied."
    elif not seen.may_change and not seen.head.paused:
        yield f"{seen.head.service} stays as it is until another revision is applied."


def _pause(seen: Snapshot) -> Iterator[str]:
    if seen.head.paused:
        service = seen.head.service
        yield f"{service} is paused: nothing is created, updated or removed until `appliance rollout resume {service}`."


def _progress(seen: Snapshot) -> Iterator[str]:
    service = seen.head.service
    if seen.head.halted:
        yield from _stopping(seen, list(seen.deployed.values()), f"{service} stops from the highest rank down")
    elif dated := outrun(seen):
        yield from _stopping(seen, dated, f"{service} is being restarted, and stops from the highest rank down first")
    elif seen.went_back and (left := changed(seen)):
        rank = max(seen.rank_of(each) for each in left)
        yield f"The highest rank goes back first; rank {rank} has its turn."
        yield from _cut_off(seen, [each for each in seen.deployed.values() if seen.rank_of(each) >= rank])
    elif not is_complete(seen):
        yield from (f"{service} waits for {name}, which is not complete." for name in seen.waits_for)
        yield from _building(seen)


def _stopping(seen: Snapshot, instances: list[Instance], what: str) -> Iterator[str]:
    """Runs of jobs count as well."""
    everything = [*instances, *(each for each in seen.instances.values() if each.run)]
    running = [each for each in everything if not seen.is_stopped(each) and each.desired != "removed"]
    if running:
        rank = max(seen.rank_of(each) for each in running)
        last = [each for each in running if seen.rank_of(each) == rank]
        yield f"{what}: {last[0].name} of rank {rank} has not stopped yet."
        yield from _cut_off(seen, last)


def _building(seen: Snapshot) -> Iterator[str]:
    incomplete = [rank for rank in seen.ranks if any(lacks(seen, rank))]
    rank = incomplete[0]
    yield from (f"Rank {rank} is not complete: {lack}." for lack in list(lacks(seen, rank))[:_MOST])
    yield from (f"Rank {later} waits for rank {rank}." for later in incomplete[1:])
    deploys = {slot.deploy.name: slot.deploy for slot in seen.slots.values() if slot.deploy.rank == rank}
    for deploy in deploys.values() if seen.may_change and not seen.waits_for else ():
        yield from _batch(seen, deploy)


_MOST = 5
"""Instances that one rank names; the others fare alike."""


def _batch(seen: Snapshot, deploy: Deploy) -> Iterator[str]:
    places = [slot.name for slot in seen.slots.values() if slot.deploy.name == deploy.name]
    now = due(seen, deploy, frozenset())
    outdated = [name for name in places if (each := seen.instances.get(name)) and not seen.is_current(each)]
    if waiting := [name for name in outdated if name not in now]:
        most = most_unavailable(deploy.max_unavailable, len(places))
        yield f"{waiting[0]} waits for its update: of {seen.head.service}/{deploy.name} at most {most} may be away."


def _kept(seen: Snapshot) -> Iterator[str]:
    kept = held_back(seen)
    yield from (
        f"{name} stays until revision {seen.head.revision} is complete."
        for name in seen.deployed
        if name in kept and name not in seen.slots
    )
    left = [each for name, each in seen.deployed.items() if name not in seen.slots and name not in kept]
    yield from (f"{each.name} is being removed." for each in left if seen.is_reachable(each))
    yield from _cut_off(seen, left)


def _moves(seen: Snapshot) -> Iterator[str]:
    """Of slots that are wanted: who is on the way to another node, and who waits to be."""
    going = [each for name in seen.slots if (each := seen.deployed.get(name)) and each.desired == "removed"]
    yield from (f"{each.name} leaves its node before it starts elsewhere." for each in going)
    now = leaving(seen)
    for name, instance in seen.deployed.items():
        node = seen.nodes.get(seen.bindings.get(name, ""))
        if node and node.draining and instance.desired != "removed" and name not in now:
            why = why_it_stays(seen, instance) or "It waits until no more of its deploy are away than may be."
            yield f"{name} is still on {node.name}, which is drained. {why}"


def _cut_off(seen: Snapshot, instances: list[Instance]) -> Iterator[str]:
    for each in instances:
        node = seen.nodes.get(seen.bindings.get(each.name, ""))
        if node is not None and not seen.is_reachable(each):
            yield f"{each.name} is on {node.name}, which cannot be reached; it stays there until that is back."
