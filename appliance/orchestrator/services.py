"""What has to change so that a service's instances become what is wanted: pure, from a snapshot to named decisions."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from appliance.model.instance import Instance
from appliance.model.service import ServiceHead
from appliance.orchestrator.decisions import (
    Alter,
    Create,
    Decision,
    Forget,
    ForgetService,
    Record,
    Renew,
    StartRun,
)
from appliance.orchestrator.moves import leaving, lost, renewed
from appliance.orchestrator.ranks import Turns, turns
from appliance.orchestrator.retention import forgettable
from appliance.orchestrator.rollout import rollout_now
from appliance.orchestrator.snapshot import Slot, Snapshot


def decide(seen: Snapshot) -> list[Decision]:
    """The next step of everything that may take one; none when all is as wanted or has to wait."""
    if seen.head.deleted:
        return list(_take_down(seen))
    decisions: list[Decision] = []
    rollout = rollout_now(seen)
    if rollout is not None and rollout != seen.rollout:
        decisions.append(Record(rollout))
        seen = replace(seen, rollout=rollout)
    decisions += _cleared(seen)
    if seen.target is not None:
        decisions += _steps(seen)
        decisions += forgettable(seen)
    return decisions


def _take_down(seen: Snapshot) -> Iterator[Decision]:
    """The highest rank that is still there goes first; the service itself goes when nothing is left of it."""
    gone = {name for name, each in seen.deployed.items() if seen.is_gone(each)}
    yield from (Forget(name) for name in sorted(gone))
    left = [each for name, each in seen.instances.items() if name not in gone]
    if not left:
        # Its instances are deleted by this same list of decisions, before it.
        yield ForgetService(seen.head.service)
        return
    highest = max(seen.rank_of(each) for each in left)
    for instance in sorted(left, key=lambda each: -each.index):
        if seen.rank_of(instance) == highest and instance.desired != "removed" and not instance.run:
            yield Alter(msgspec.structs.replace(instance, desired="removed"))


def _cleared(seen: Snapshot) -> Iterator[Decision]:
    """Instances that are not, or not any more, where they were."""
    for name, instance in seen.deployed.items():
        if seen.is_gone(instance):
            yield Renew(renewed(seen, instance)) if name in seen.slots else Forget(name)
    yield from (Renew(renewed(seen, instance)) for instance in lost(seen))


def _steps(seen: Snapshot) -> Iterator[Decision]:
    left = {each.name for each in lost(seen)}
    going = leaving(seen) - left
    found = turns(seen, going | left)
    yield from (Create(_new(seen, slot)) for slot in found.create)
    removed = {*found.remove, *going}
    for name in found.remove:
        yield from _altered(seen, seen.instances[name], found, removed)
    for name, instance in seen.deployed.items():
        if name not in found.remove and name not in left and instance.desired != "removed":
            yield from _altered(seen, instance, found, removed)
    if seen.target is not None:
        yield from (StartRun(job, seen.target.number) for job in found.runs)


def _new(seen: Snapshot, slot: Slot) -> Instance:
    head = seen.head
    assert seen.target is not None
    return Instance(
        name=slot.name,
        service=head.service,
        deploy=slot.deploy.name,
        index=slot.index,
        revision=seen.target.number,
        desired="stopped" if slot.name in head.stopped else "running",
        restart=head.restarts.get(slot.name, 0),
        generation=head.generation,
        move=head.moves[slot.name].number if slot.name in head.moves else 0,
        node=slot.node,
        heard=_heard(head, slot.name),
    )


def _altered(seen: Snapshot, known: Instance, found: Turns, removed: set[str]) -> Iterator[Decision]:
    wanted = _wanted(seen, known, found, removed)
    if wanted != known:
        yield Alter(wanted)


def _wanted(seen: Snapshot, known: Instance, found: Turns, removed: set[str]) -> Instance:
    """What people asked of a single instance is done at any time; the rest has its turn."""
    head, name = seen.head, known.name
    if name in removed:
        return msgspec.structs.replace(known, desired="removed")
    asleep = name in head.stopped or name in found.stop or (known.desired == "stopped" and name not in found.start)
    updates = seen.target is not None and name in found.update
    # Until its turn to start has come, it goes on as its node was told there.
    waits = asleep and not (name in head.stopped or name in found.stop or head.halted)
    return msgspec.structs.replace(
        known,
        revision=seen.target.number if seen.target and updates else known.revision,
        desired="stopped" if asleep else "running",
        restart=head.restarts.get(name, 0),
        generation=head.generation if name in found.start else known.generation,
        node=_node(seen, known),
        heard=known.heard if waits else _heard(head, name),
    )


def _heard(head: ServiceHead, instance: str) -> int:
    return head.heard[instance].number if instance in head.heard else 0


def _node(seen: Snapshot, known: Instance) -> str:
    """A deploy that no longer runs on every node lets its instances live anywhere."""
    slot = seen.slots.get(known.name)
    if slot is None or slot.node:
        return slot.node if slot else known.node
    return known.node if known.name in seen.head.moves else ""
