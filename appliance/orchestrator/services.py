"""What has to change so that a service's instances become what is wanted: pure, from a snapshot to named decisions.

A rank is created and updated only once every lower rank is running and ready; a deploy is updated a quarter at a
time; what is too much is removed from the highest index down; a deleted service goes in reverse order of rank.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from appliance.model.definition import definition
from appliance.model.instance import Instance, InstanceStatus, instance_name
from appliance.model.service import Deploy, Revision, Service, ServiceHead

UPDATED_AT_ONCE = 4
"""One instance in so many (at least one) may be changed and not ready yet."""


@dataclass(frozen=True, slots=True)
class Create:
    instance: Instance


@dataclass(frozen=True, slots=True)
class Alter:
    """Write the instance as it is here: another revision, restart count or desired state."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing of it is left on any node: delete it with its binding, status and refusal."""

    instance: str


@dataclass(frozen=True, slots=True)
class ForgetService:
    service: str


Decision = Create | Alter | Forget | ForgetService


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One service as of one moment. `bound`: instances that have a node which exists.

    `revisions` are by number.
    """

    head: ServiceHead
    revisions: Mapping[int, Revision]
    instances: Mapping[str, Instance]
    bound: frozenset[str]
    statuses: Mapping[str, InstanceStatus]


def decide(seen: Snapshot) -> list[Decision]:
    gone = [name for name, instance in seen.instances.items() if _is_gone(seen, instance)]
    forget: list[Decision] = [Forget(name) for name in gone]
    if seen.head.deleted:
        return forget + list(_take_down(seen, frozenset(gone)))
    revision = seen.revisions.get(seen.head.revision)
    if revision is None:
        return forget
    return forget + list(_remove_surplus(seen, revision.spec)) + list(_build_up(seen, revision.spec))


def _is_gone(seen: Snapshot, instance: Instance) -> bool:
    if instance.desired != "removed":
        return False
    status = seen.statuses.get(instance.name)
    return instance.name not in seen.bound or (status is not None and status.state == "removed")


def _take_down(seen: Snapshot, gone: frozenset[str]) -> Iterator[Decision]:
    """The highest rank that is still there goes first; the service itself goes when nothing is left of it."""
    left = [instance for name, instance in seen.instances.items() if name not in gone]
    if not left:
        # Its instances are deleted by this same list of decisions, before it.
        yield ForgetService(seen.head.service)
        return
    highest = max(_rank(seen, instance) for instance in left)
    for instance in sorted(left, key=lambda each: -each.index):
        if _rank(seen, instance) == highest and instance.desired != "removed":
            yield Alter(msgspec.structs.replace(instance, desired="removed"))


def _rank(seen: Snapshot, instance: Instance) -> int:
    revision = seen.revisions.get(instance.revision)
    deploy = revision.spec.deploys.get(instance.deploy) if revision else None
    return deploy.rank if deploy else 0


def _remove_surplus(seen: Snapshot, spec: Service) -> Iterator[Decision]:
    for instance in sorted(seen.instances.values(), key=lambda each: -each.index):
        deploy = spec.deploys.get(instance.deploy)
        surplus = deploy is None or instance.index >= _replicas(seen.head, deploy)
        if surplus and instance.desired != "removed":
            yield Alter(msgspec.structs.replace(instance, desired="removed"))


def _build_up(seen: Snapshot, spec: Service) -> Iterator[Decision]:
    open_ = True
    for rank in sorted({deploy.rank for deploy in spec.deploys.values()}):
        deploys = [deploy for deploy in spec.deploys.values() if deploy.rank == rank]
        for deploy in deploys:
            yield from _tend(seen, deploy, may_grow=open_)
        open_ = open_ and all(_is_complete(seen, deploy) for deploy in deploys)


def _tend(seen: Snapshot, deploy: Deploy, *, may_grow: bool) -> Iterator[Decision]:
    """What people asked of single instances is done at any time; creating and updating waits for the rank's turn."""
    names = _names(seen.head, deploy)
    update = _due(seen, deploy, names) if may_grow else frozenset()
    for index, name in enumerate(names):
        known = seen.instances.get(name)
        if known is None:
            if may_grow:
                yield Create(_wanted(seen.head, deploy, index, seen.head.revision))
        elif known.desired != "removed":
            revision = seen.head.revision if name in update else known.revision
            wanted = _wanted(seen.head, deploy, index, revision)
            if wanted != known:
                yield Alter(wanted)


def _wanted(head: ServiceHead, deploy: Deploy, index: int, revision: int) -> Instance:
    name = instance_name(head.service, deploy.name, index)
    return Instance(
        name=name,
        service=head.service,
        deploy=deploy.name,
        index=index,
        revision=revision,
        desired="stopped" if name in head.stopped else "running",
        restart=head.restarts.get(name, 0),
    )


def _due(seen: Snapshot, deploy: Deploy, names: list[str]) -> frozenset[str]:
    """Outdated instances that may be updated now; those that do not serve anyway come first."""
    known = [seen.instances[name] for name in names if name in seen.instances]
    outdated = [each for each in known if not _is_current(seen, each, deploy)]
    # Without a node nothing is running that an update could interrupt.
    free = [each.name for each in outdated if each.name not in seen.bound]
    running = [each for each in outdated if each.name in seen.bound]
    busy = sum(
        each.name in seen.bound and each.desired == "running" and not _is_ready(seen, each)
        for each in known
        if _is_current(seen, each, deploy)
    )
    room = max(0, max(1, len(names) // UPDATED_AT_ONCE) - busy)
    running.sort(key=lambda each: (_is_ready(seen, each), each.index))
    return frozenset(free + [each.name for each in running[:room]])


def _is_complete(seen: Snapshot, deploy: Deploy) -> bool:
    """Every instance is there, of the wanted revision, and ready or stopped by a person."""
    for name in _names(seen.head, deploy):
        instance = seen.instances.get(name)
        if instance is None or instance.desired == "removed" or not _is_current(seen, instance, deploy):
            return False
        if name not in seen.head.stopped and not _is_ready(seen, instance):
            return False
    return True


def _is_current(seen: Snapshot, instance: Instance, deploy: Deploy) -> bool:
    """An older revision will do when it asks for the same deploy: nothing is restarted for a change elsewhere."""
    if instance.revision == seen.head.revision:
        return True
    older, wanted = seen.revisions.get(instance.revision), seen.revisions.get(seen.head.revision)
    if older is None or wanted is None:
        return False
    return definition(older, deploy.name) == definition(wanted, deploy.name)


def _is_ready(seen: Snapshot, instance: Instance) -> bool:
    status = seen.statuses.get(instance.name)
    if status is None or status.state != "running" or not status.ready:
        return False
    return status.revision == instance.revision and status.restart == instance.restart


def _names(head: ServiceHead, deploy: Deploy) -> list[str]:
    return [instance_name(head.service, deploy.name, index) for index in range(_replicas(head, deploy))]


def _replicas(head: ServiceHead, deploy: Deploy) -> int:
    return head.scale.get(deploy.name, deploy.replicas)
