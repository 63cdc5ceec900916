"""Whose turn it is: what may start, change and stop now so that ranks keep their order. Pure.

Forwards, a rank has its turn once every lower one is complete. A service that goes back retraces its steps: the
highest rank first, so that each stands on the ranks that it stood on before, and a rank waits only until the nodes have
taken up the ranks above it, since those may be able to become ready no sooner than it is back itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.model.instance import Instance
from appliance.model.service import Deploy
from appliance.orchestrator.snapshot import Slot, Snapshot


@dataclass(frozen=True)
class Turns:
    """Names of instances, except that `create` holds slots and `runs` jobs."""

    create: tuple[Slot, ...] = ()
    update: frozenset[str] = frozenset()
    start: frozenset[str] = frozenset()
    stop: frozenset[str] = frozenset()
    remove: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    def __or__(self, other: "Turns") -> "Turns":
        return Turns(
            self.create + other.create,
            self.update | other.update,
            self.start | other.start,
            self.stop | other.stop,
            self.remove + other.remove,
            self.runs + other.runs,
        )


def turns(seen: Snapshot, leaving: frozenset[str]) -> Turns:
    """`leaving`: instances that are being taken from their nodes anyway."""
    if seen.head.halted:
        return Turns(stop=stop_down(seen, seen.deployed.values())) | remove_surplus(seen)
    if dated := outrun(seen):
        return Turns(stop=stop_down(seen, dated))
    if seen.went_back and changed(seen):
        return put_back(seen, leaving) if seen.may_change else Turns()
    return build_up(seen, leaving) | remove_surplus(seen)


def is_complete(seen: Snapshot) -> bool:
    """Whether everything of the revision in effect is as wanted."""
    return seen.target is not None and not any(any(lacks(seen, rank)) for rank in seen.ranks)


def lacks(seen: Snapshot, rank: int) -> Iterator[str]:
    """What the rank lacks to be complete, a sentence without its full stop for each."""
    for slot in seen.slots.values():
        if slot.deploy.rank == rank and (lack := _lack(seen, slot)):
            yield lack
    for job, state in seen.jobs.items():
        if seen.target and seen.target.spec.jobs[job].rank == rank and state != "succeeded":
            yield f"job {seen.head.service}/{job} {_JOB[state]}"


_JOB = {"due": "is due", "running": "has not ended", "failed": "has failed"}


def _lack(seen: Snapshot, slot: Slot) -> str:
    instance, name = seen.instances.get(slot.name), slot.name
    if instance is None:
        return f"{name} is not there yet"
    if instance.desired == "removed":
        return f"{name} is being taken from its node"
    if not seen.is_reachable(instance):
        return f"the node of {name} cannot be reached"
    if not seen.is_current(instance):
        return f"{name} has not been updated"
    if name in seen.head.stopped:
        return ""
    if instance.desired == "stopped" or instance.generation < seen.head.generation:
        return f"{name} has not been started"
    if name not in seen.bindings:
        return f"{name} has no node yet"
    if seen.is_misplaced(instance):
        return f"{name} is not on its own node yet"
    if not seen.is_ready(instance):
        return f"{name} is not ready"
    return "" if seen.is_steady(instance, slot.deploy.min_ready) else f"{name} has not been ready for long enough"


def build_up(seen: Snapshot, leaving: frozenset[str]) -> Turns:
    """Rank by rank, up to the first that is not complete."""
    found = Turns()
    for rank in () if seen.waits_for else seen.ranks:
        for deploy in _deploys(seen, rank):
            found |= tend(seen, deploy, leaving)
        if seen.may_change and not seen.failed:
            found |= Turns(runs=_due_jobs(seen, rank))
        if any(lacks(seen, rank)):
            break
    return found


def tend(seen: Snapshot, deploy: Deploy, leaving: frozenset[str]) -> Turns:
    """A deploy whose turn it is."""
    places = _places(seen, deploy)
    asleep = frozenset(
        slot.name
        for slot in places
        if (each := seen.instances.get(slot.name)) and each.desired == "stopped" and slot.name not in seen.head.stopped
    )
    if not seen.may_change:
        return Turns(start=asleep - leaving)
    missing = tuple(slot for slot in places if slot.name not in seen.instances)
    return Turns(create=missing, start=asleep - leaving, update=due(seen, deploy, leaving))


def due(seen: Snapshot, deploy: Deploy, leaving: frozenset[str]) -> frozenset[str]:
    """Outdated instances to be updated now: all that do not serve, since nothing is lost with them, and of the others
    as many as may be away."""
    outdated = [each for each in _present(seen, deploy) if not seen.is_current(each) and each.name not in leaving]
    serving = sorted((each for each in outdated if seen.is_ready(each)), key=lambda each: each.index)
    idle = [each for each in outdated if not seen.is_ready(each)]
    return frozenset(each.name for each in (*idle, *serving[: room(seen, deploy, leaving)]))


def room(seen: Snapshot, deploy: Deploy, leaving: frozenset[str] = frozenset()) -> int:
    """How many more instances of the deploy may be away from serving."""
    names = [slot.name for slot in _places(seen, deploy) if slot.name not in seen.head.stopped]
    away = sum(_is_away(seen, name, deploy) or name in leaving for name in names)
    return max(0, most_unavailable(deploy.max_unavailable, len(names)) - away)


def most_unavailable(rule: str, count: int) -> int:
    """``2``, or ``25%`` of `count` rounded down; at least one, or nothing would ever change."""
    return max(1, count * int(rule[:-1]) // 100 if rule.endswith("%") else int(rule))


def _is_away(seen: Snapshot, name: str, deploy: Deploy) -> bool:
    instance = seen.instances.get(name)
    if instance is None:
        return not seen.went_back
    if seen.went_back and not _is_worth_waiting_for(seen, instance):
        return False
    if instance.desired == "removed":
        return True
    return not seen.is_steady(instance, deploy.min_ready if seen.is_current(instance) else 0.0)


def _is_worth_waiting_for(seen: Snapshot, instance: Instance) -> bool:
    """A service that goes back must arrive, also where the way back is not what it was."""
    wanted, status = seen.revisions.get(seen.head.revision), seen.statuses.get(instance.name)
    patient = wanted is None or seen.idle < wanted.spec.rollout.deadline
    failing = status is not None and status.failures > 0
    coming = instance.desired != "stopped" and instance.name in seen.bindings and seen.is_reachable(instance)
    return patient and coming and not failing


def _due_jobs(seen: Snapshot, rank: int) -> tuple[str, ...]:
    spec = seen.target.spec if seen.target else None
    return tuple(job for job, state in seen.jobs.items() if spec and state == "due" and spec.jobs[job].rank == rank)


def changed(seen: Snapshot) -> list[Instance]:
    """Instances that a service which goes back still has to put back or remove; those that are cut off on their way out
    hold up nobody."""
    left = [each for name, each in seen.deployed.items() if name not in seen.slots or not seen.is_current(each)]
    return [each for each in left if each.desired != "removed" or seen.is_reachable(each)]


def put_back(seen: Snapshot, leaving: frozenset[str]) -> Turns:
    """The highest rank that is not as it was, once the nodes have taken up all above it."""
    left = changed(seen)
    rank = max(seen.rank_of(each) for each in left)
    above = [each for each in seen.deployed.values() if seen.rank_of(each) > rank]
    if any(_is_on_its_way(seen, each) for each in above):
        return Turns()
    here = [each for each in left if seen.rank_of(each) == rank]
    surplus = tuple(each.name for each in here if each.name not in seen.slots)
    deploys = {each.deploy for each in here if each.name in seen.slots}
    update = frozenset(name for deploy in deploys for name in due(seen, _deploy(seen, deploy), leaving))
    return Turns(update=update & {each.name for each in here}, remove=surplus)


def _is_on_its_way(seen: Snapshot, instance: Instance) -> bool:
    bound = instance.name in seen.bindings and seen.is_reachable(instance)
    return bound and instance.desired == "running" and not seen.is_begun(instance)


def outrun(seen: Snapshot) -> list[Instance]:
    """Instances that a restart of the whole service has to stop before any starts again; none once all have."""
    dated = [each for each in seen.deployed.values() if each.generation < seen.head.generation]
    dated = [each for each in dated if each.desired != "removed"]
    return dated if any(not seen.is_stopped(each) for each in dated) else []


def stop_down(seen: Snapshot, instances: Iterable[Instance]) -> frozenset[str]:
    """The highest rank of which anything runs; jobs of a service that stops hold up the ranks below them as well."""
    jobs = [each for each in seen.instances.values() if each.run]
    running = [each for each in instances if each.desired != "removed" and not seen.is_stopped(each)]
    active = [*running, *(each for each in jobs if not seen.is_stopped(each))]
    highest = max((seen.rank_of(each) for each in active), default=0)
    return frozenset(each.name for each in running if seen.rank_of(each) == highest)


def remove_surplus(seen: Snapshot) -> Turns:
    """What nobody wants any more, highest rank and index first."""
    left = [each for name, each in seen.deployed.items() if name not in seen.slots]
    kept = held_back(seen)
    waiting = [each for each in left if each.name not in kept and not seen.is_gone(each)]
    if not waiting or seen.head.paused:
        return Turns()
    rank = max((seen.rank_of(each) for each in waiting if seen.is_reachable(each)), default=0)
    going = [each for each in waiting if seen.rank_of(each) == rank or not seen.is_reachable(each)]
    going = [each for each in going if each.desired != "removed"]
    return Turns(remove=tuple(each.name for each in sorted(going, key=lambda each: (-each.index, each.name))))


def held_back(seen: Snapshot) -> frozenset[str]:
    """What the revision before has stays until the new one is complete: a rollout that fails has removed nothing."""
    known = seen.rollout
    if known is None or known.state == "done" or seen.went_back or not known.previous:
        return frozenset()
    before = seen.slots_of(seen.revisions.get(known.previous))
    return frozenset(name for name in before if name not in seen.slots)


def _deploys(seen: Snapshot, rank: int) -> list[Deploy]:
    return [each for each in seen.target.spec.deploys.values() if each.rank == rank] if seen.target else []


def _deploy(seen: Snapshot, name: str) -> Deploy:
    return next(slot.deploy for slot in seen.slots.values() if slot.deploy.name == name)


def _places(seen: Snapshot, deploy: Deploy) -> list[Slot]:
    return [slot for slot in seen.slots.values() if slot.deploy.name == deploy.name]


def _present(seen: Snapshot, deploy: Deploy) -> list[Instance]:
    known = (seen.instances.get(slot.name) for slot in _places(seen, deploy))
    return [each for each in known if each is not None and each.desired != "removed"]
