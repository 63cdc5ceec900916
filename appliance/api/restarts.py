"""What becomes of the instances when one revision follows another: pure.

Nothing here repeats what a container is made of. Both revisions are planned as a node would get them, and the digests
of `engine/container.py` are compared; a field is a reason when the digest changes by it alone.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from appliance.engine.container import DIGEST_LABEL, NodePlaces, needs_pause, pause_settings, settings_for
from appliance.model.container import Container
from appliance.model.definition import definition
from appliance.model.instance import Assignment, Binding, Instance, PlannedContainer, instance_name
from appliance.model.service import Revision
from appliance.orchestrator.assignments import assignment
from appliance.spec.diff import differences

_NOWHERE = NodePlaces("", "", "", "")
_SOME_IP = "10.0.0.1"
"""An instance keeps its address, so any will do, if both sides have it."""


@dataclass(frozen=True)
class Effect:
    """`action` on some instances of a deploy. `update`: they take the revision over and go on running."""

    deploy: str
    action: Literal["create", "remove", "restart", "update"]
    instances: tuple[str, ...]
    reasons: tuple[str, ...] = ()


def effects(
    old: Revision | None, new: Revision, before: Mapping[str, Collection[int]], after: Mapping[str, Collection[int]]
) -> list[Effect]:
    """`before` and `after`: the indices of every deploy's instances. Instances that nothing happens to are left out."""
    found = []
    for deploy in dict.fromkeys([*before, *after]):
        had, has = set(before.get(deploy, ())), set(after.get(deploy, ()))
        found += [
            _effect(new.service, deploy, "create", has - had),
            _effect(new.service, deploy, "remove", had - has),
        ]
        if old is not None and definition(old, deploy) != definition(new, deploy):
            reasons = restart_reasons(old, new, deploy)
            action: Literal["restart", "update"] = "restart" if reasons else "update"
            found.append(_effect(new.service, deploy, action, had & has, reasons or _changed_parts(old, new, deploy)))
    return [effect for effect in found if effect.instances]


def restart_reasons(old: Revision, new: Revision, deploy: str) -> tuple[str, ...]:
    """Why containers of the deploy are made anew; empty when none is."""
    one, other = _planned(old, deploy), _planned(new, deploy)
    if one is None or other is None:
        return ()
    return tuple(dict.fromkeys([*_network_reasons(one, other), *_container_reasons(one, other, old, new)]))


def runs_anew(old: Revision | None, new: Revision, ran: Mapping[str, Collection[str]]) -> list[str]:
    """Jobs without a schedule that the new revision runs. `ran`: job → digests of the definitions that have run."""
    found = []
    for job in new.spec.jobs.values():
        wanted, known = definition(new, job.name), definition(old, job.name) if old else None
        if not job.schedule and wanted is not None and wanted != known and wanted.digest not in ran.get(job.name, ()):
            found.append(f"{new.service}/{job.name}")
    return found


def ranges(names: Collection[str]) -> str:
    """``shop/web-0..2, shop/web-5``: names of instances of one deploy, for people."""
    numbers = sorted(int(name.rpartition("-")[2]) for name in names)
    base = next(iter(names)).rpartition("-")[0] if names else ""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return ", ".join(f"{base}-{first}" + (f"..{last}" if last > first else "") for first, last in found)


def _effect(
    service: str,
    deploy: str,
    action: Literal["create", "remove", "restart", "update"],
    indices: Collection[int],
    reasons: tuple[str, ...] = (),
) -> Effect:
    names = tuple(instance_name(service, deploy, index) for index in sorted(indices))
    return Effect(deploy, action, names, reasons)


def _changed_parts(old: Revision, new: Revision, deploy: str) -> tuple[str, ...]:
    one, other = definition(old, deploy), definition(new, deploy)
    assert one is not None and other is not None, "both revisions have instances of it"
    found = [path for path, _, _ in differences("", one, other)]
    return tuple(dict.fromkeys(path.removeprefix("deploy.") for path in found))


def _planned(revision: Revision, deploy: str) -> Assignment | None:
    """As a node would get an instance of it."""
    name = instance_name(revision.service, deploy, 0)
    instance = Instance(name=name, service=revision.service, deploy=deploy, index=0, revision=0)
    known = revision.spec.deploys.get(deploy)
    ip = "" if known is not None and known.host_network else _SOME_IP
    return assignment(instance, Binding(instance=name, node="", ip=ip, bound_at=""), revision)


def _network_reasons(one: Assignment, other: Assignment) -> Iterator[str]:
    if one.host_network != other.host_network:
        yield "network"
    elif needs_pause(one) != needs_pause(other):
        yield "containers"
    elif needs_pause(one) and _pause_digest(one) != _pause_digest(other):
        yield "published ports"


def _container_reasons(one: Assignment, other: Assignment, old: Revision, new: Revision) -> Iterator[str]:
    ours, theirs = ({each.name: each for each in side.containers} for side in (one, other))
    for name in dict.fromkeys([*ours, *theirs]):
        before, after = ours.get(name), theirs.get(name)
        if before is None or after is None:
            yield f"containers.{name}"
        elif _digest(one, before) != _digest(other, after):
            found = [*_fields(one, before, after, old, new), *_volumes(one, other, before)]
            yield from found or [f"containers.{name}"]


def _fields(
    plan: Assignment, before: PlannedContainer, after: PlannedContainer, old: Revision, new: Revision
) -> Iterator[str]:
    path, ours, theirs = f"containers.{before.name}", old.spec.configs, new.spec.configs
    if _counts(plan, before, image_id=after.image_id, pull=after.pull):
        yield f"{path}.image"
    for field in Container.__struct_fields__:
        was, is_ = getattr(before.spec, field), getattr(after.spec, field)
        if was != is_ and _counts(plan, before, spec=msgspec.structs.replace(before.spec, **{field: is_})):
            yield from (each for each, _, _ in differences(f"{path}.{field}", was, is_))
    if _counts(plan, before, files=after.files):
        used = sorted({*before.spec.configs, *after.spec.configs})
        yield f"configs {', '.join(name for name in used if ours.get(name) != theirs.get(name))}"
    if _counts(plan, before, secrets=after.secrets):
        for name in sorted({*before.secrets, *after.secrets}):
            if before.secrets.get(name) != after.secrets.get(name):
                yield f"secrets {name} {before.secrets.get(name, 'none')} -> {after.secrets.get(name, 'none')}"


def _volumes(one: Assignment, other: Assignment, container: PlannedContainer) -> Iterator[str]:
    if _digest(msgspec.structs.replace(one, volumes=other.volumes), container) != _digest(one, container):
        for path, _, _ in differences("volumes", one.volumes, other.volumes):
            if path.split(".")[1] in container.spec.volumes:
                yield path


def _counts(plan: Assignment, container: PlannedContainer, **changes: object) -> bool:
    """Whether the container would be made anew for these changes alone."""
    return _digest(plan, container) != _digest(plan, msgspec.structs.replace(container, **changes))


def _digest(plan: Assignment, container: PlannedContainer) -> str:
    return settings_for(plan, container, "", _NOWHERE).labels[DIGEST_LABEL]


def _pause_digest(plan: Assignment) -> str:
    return pause_settings(plan, "", _NOWHERE).labels[DIGEST_LABEL]
