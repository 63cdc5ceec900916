"""What an apply would change and which instances it would restart, without changing anything."""

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec

from appliance.api.context import Context
from appliance.api.heads import refuse_deleted
from appliance.api.restarts import effects, ranges, runs_anew
from appliance.api.revisions import Apply, in_effect, notes, propose
from appliance.api.wanted import wanted_indices
from appliance.model.service import Revision, Service, ServiceHead
from appliance.spec.diff import diff, differences
from appliance.store.state import State


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One field. `lines`: a unified diff where both values are texts of several lines."""

    path: str
    old: Any
    new: Any
    lines: tuple[str, ...] = ()


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """`action`: create, remove, restart, or update (without a restart). `shown`: the instances in short."""

    deploy: str
    action: str
    instances: tuple[str, ...]
    shown: str
    reasons: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`revision`: the current one, 0 for none; it is the `index` that an apply can insist on. `against`: the one in
    effect, which `changes` start from. `jobs`: those that would run."""

    service: str
    revision: int
    index: int
    against: int
    changes: tuple[Change, ...]
    instances: tuple[Affected, ...]
    jobs: tuple[str, ...]
    notes: tuple[str, ...]


def compare_spec(context: Context, wish: Apply) -> Comparison:
    """Raises what `apply` would raise for this text."""
    wanted = propose(context, wish.text, wish.file, wish.variables)
    head = context.state.services.get(wanted.service) or ServiceHead(service=wanted.service, revision=0)
    refuse_deleted(head)
    return compare(context.state, head, wanted)


def compare(state: State, head: ServiceHead, wanted: Revision) -> Comparison:
    old = in_effect(state, head)
    before = wanted_indices(state, old, head) if old else {}
    found = effects(old, wanted, before, wanted_indices(state, wanted, head))
    ran = {job: {run.digest for _, run in state.runs.below(f"{wanted.service}/{job}/")} for job in wanted.spec.jobs}
    return Comparison(
        service=wanted.service,
        revision=head.revision,
        index=head.revision,
        against=old.number if old else 0,
        changes=tuple(_changes(old, wanted)),
        instances=tuple(
            Affected(
                deploy=each.deploy,
                action=each.action,
                instances=each.instances,
                shown=ranges(each.instances),
                reasons=each.reasons,
            )
            for each in found
        ),
        jobs=tuple(runs_anew(old, wanted, ran)),
        notes=notes(state, wanted.spec, head),
    )


def _changes(old: Revision | None, new: Revision) -> Iterator[Change]:
    for path, was, is_ in diff(old.spec if old else Service(name=new.service), new.spec):
        lines = _lines(was, is_) if isinstance(was, str) and isinstance(is_, str) else ()
        yield Change(path=path, old=msgspec.to_builtins(was), new=msgspec.to_builtins(is_), lines=lines)
    for path, version, newer in differences("secrets", old.secrets if old else {}, new.secrets):
        yield Change(path=path, old=_version(version), new=_version(newer))
    ids = {name: image.id for name, image in old.images.items()} if old else {}
    for name, image in new.images.items():
        if ids.get(name, image.id) != image.id:
            yield Change(path=f"images.{name}", old=ids[name], new=image.id)


def _lines(old: str, new: str) -> tuple[str, ...]:
    if "\n" not in old + new:
        return ()
    # The first two lines name files, which these are not.
    return tuple(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm=""))[2:]


def _version(number: object) -> str | None:
    return None if number is None else f"version {number}"
