"""Revisions: a service file on its way to being the current one, and the earlier ones it can go back to."""

import msgspec

from appliance.api import checks
from appliance.api.context import Context
from appliance.api.heads import TRIES, current, deploys_of, pruned, refuse_deleted
from appliance.errors import Conflict, NotFound, Refused, SpecInvalid
from appliance.model.cluster import Image
from appliance.model.service import Revision, Service, ServiceHead, revision_in_effect
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.state import State
from appliance.store.store import LARGEST_VALUE, Expect, Put


class Apply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`index`: the revision the author saw (0: none yet); the apply is refused if there is a newer one."""

    text: str
    file: str = ""
    message: str = ""
    variables: dict[str, str] = {}
    index: int | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """`changed`: whether there was anything to do. `notes`: what is as the author may not expect, in sentences."""

    service: str
    revision: int
    changed: bool
    notes: tuple[str, ...] = ()


def apply(context: Context, wish: Apply, author: str) -> Accepted:
    """Make the spec the service's current one. A spec equal to the current one makes no revision."""
    seen = {name: head.revision for name, head in context.state.services.all().items()}
    wanted = propose(context, wish.text, wish.file, wish.variables)
    index = seen.get(wanted.service, 0) if wish.index is None else wish.index
    return accept(context, msgspec.structs.replace(wanted, author=author, message=wish.message), index)


def propose(context: Context, text: str, file: str, variables: dict[str, str]) -> Revision:
    """What the text asks for, as a revision without number; raises SpecInvalid with everything that speaks against it.

    Nothing is written.
    """
    spec = context.read_service(text, file, variables)
    problems = checks.problems_of(context, spec, file)
    if problems:
        raise SpecInvalid(problems)
    versions = checks.newest_secrets(context.state, spec.name)
    return Revision(
        service=spec.name,
        number=0,
        spec=spec,
        author="",
        created_at="",
        images=checks.loaded_images(context, spec),
        secrets={name: versions[name] for name in spec.secrets},
        source=text,
        overrides=variables,
    )


def accept(context: Context, wanted: Revision, index: int) -> Accepted:
    """Make it the current revision, if the current one is `index`; raises Conflict naming who was faster.

    Counts set by hand stay. What the current revision asks for already makes no new one, unless its rollout failed.
    """
    services, service = context.state.services, wanted.service
    for _ in range(TRIES):
        unchanged = services.unchanged(service)
        head = services.get(service) or ServiceHead(service=service, revision=0)
        refuse_deleted(head)
        _refuse_unless_at(context.state, head, index)
        known = context.state.revision(service, head.revision)
        if known is not None and same(known, wanted) and not _failed(context.state, head):
            return _answer(context, head, wanted, changed=False)
        number = _next_number(context.state, head)
        revision = msgspec.structs.replace(wanted, number=number, created_at=context.now())
        kept = pruned(head, deploys_of(context.state, head, wanted.spec))
        head = msgspec.structs.replace(kept, revision=number)
        key = keys.revision_key(service, number)
        expect = [unchanged, Expect(key, 0), *_secrets_kept(context.state, wanted)]
        try:
            context.commit([Put(key, _fitting(revision)), services.put(service, head)], expect)
        except Conflict:
            context.catch_up(services.prefix + service)
            _look_for_secrets(context, wanted)
        else:
            return _answer(context, head, wanted, changed=True)
    raise Conflict(f"{service} is being changed by others all the time.", next="try again")


def same(one: Revision, other: Revision) -> bool:
    """Whether both ask for the same, of the same images and versions of secrets."""
    return one.spec == other.spec and _ids(one.images) == _ids(other.images) and one.secrets == other.secrets


def in_effect(state: State, head: ServiceHead) -> Revision | None:
    """The revision that instances are to have; None while this manager has not seen it."""
    newest = state.revision(head.service, head.revision)
    number = revision_in_effect(head, state.rollouts.get(head.service), newest.spec if newest else None)
    return state.revision(head.service, number)


def roll_back(context: Context, service: str, to: int, author: str) -> Accepted:
    """Deploys, variables, configs and versions of secrets as they were, as a new revision: history only grows."""
    head, _ = current(context, service)
    target = to or _complete_before(context.state, head)
    old = context.state.revision(service, target)
    if old is None:
        raise NotFound(
            f"{service} has no revision {to}." if to else f"{service} has no earlier revision.",
            next=f"see: appliance history {service}",
        )
    _refuse_removed(context, old)
    message = f"rollback to revision {target}"
    return accept(context, msgspec.structs.replace(old, author=author, message=message), head.revision)


def history(state: State, head: ServiceHead) -> list[dict[str, object]]:
    """Every revision that is kept, oldest first. `state` is that of its rollout, "" when another followed before its
    end."""
    effective = in_effect(state, head)
    return [
        {
            "revision": revision.number,
            "current": revision.number == head.revision,
            "in_effect": effective is not None and revision.number == effective.number,
            **_ending(state, revision),
            "author": revision.author,
            "created_at": revision.created_at,
            "message": revision.message,
        }
        for _, revision in state.revisions.below(f"{head.service}/")
    ]


def _ending(state: State, revision: Revision) -> dict[str, str]:
    """Its `state` and the `reason`. Releases before kept none but that of the newest and of the last complete one."""
    newest = state.rollouts.get(revision.service)
    if newest is not None and newest.revision == revision.number:
        return {"state": newest.state, "reason": newest.reason}
    ended = state.outcome(revision.service, revision.number)
    if ended is not None:
        return {"state": ended.state, "reason": ended.reason}
    return {"state": "done" if newest and newest.previous == revision.number else "", "reason": ""}


def _refuse_unless_at(state: State, head: ServiceHead, index: int) -> None:
    if head.revision == index:
        return
    newest = state.revision(head.service, head.revision)
    said = f": {newest.message}" if newest and newest.message else ""
    raise Conflict(
        f"{head.service} is at revision {head.revision}, not {index}.",
        why=f"{newest.author} made revision {newest.number} at {newest.created_at}{said}" if newest else "it is new",
        next=f"look at what changed (appliance diff, appliance history {head.service}) and apply again",
        page="services",
    )


def _failed(state: State, head: ServiceHead) -> bool:
    rollout = state.rollouts.get(head.service)
    return rollout is not None and rollout.revision == head.revision and rollout.state == "failed"


def _secrets_kept(state: State, wanted: Revision) -> list[Expect]:
    """The conditions that no version which the revision names is removed before the revision is there."""
    kept = {name: state.secrets.unchanged(key) for name, key in _secret_keys(wanted).items()}
    _refuse_removed_meanwhile(wanted, [name for name, expect in kept.items() if not expect.revision])
    return list(kept.values())


def _look_for_secrets(context: Context, wanted: Revision) -> None:
    """In the store itself: the copy may not know yet that one is gone."""
    prefix = context.state.secrets.prefix
    found = {name: context.store.get(prefix + key) for name, key in _secret_keys(wanted).items()}
    _refuse_removed_meanwhile(wanted, [name for name, entry in found.items() if entry is None])


def _refuse_removed_meanwhile(wanted: Revision, names: list[str]) -> None:
    if names:
        raise Conflict(
            f"Secrets of {wanted.service} were removed meanwhile: {', '.join(names)}.",
            next="apply again, which takes the newest versions",
            page="secrets",
        )


def _secret_keys(wanted: Revision) -> dict[str, str]:
    """Name → key within the table of secrets."""
    return {name: keys.secret_name(wanted.service, name, version) for name, version in wanted.secrets.items()}


def _next_number(state: State, head: ServiceHead) -> int:
    numbers = [known.number for _, known in state.revisions.below(f"{head.service}/")]
    return max([*numbers, head.revision]) + 1


def _fitting(revision: Revision) -> bytes:
    """The revision as it is stored; raises Refused when the store does not take one that large."""
    value = encode(revision)
    if len(value) > LARGEST_VALUE:
        raise Refused(
            f"{revision.service} is too large to be kept: {len(value)} bytes of {LARGEST_VALUE} with its file.",
            next="put large files into an image or a volume instead of `configs`, or make several services of it",
            page="services",
        )
    return value


def _answer(context: Context, head: ServiceHead, wanted: Revision, *, changed: bool) -> Accepted:
    said = notes(context.state, wanted.spec, head)
    return Accepted(service=head.service, revision=head.revision, changed=changed, notes=said)


def notes(state: State, spec: Service, head: ServiceHead) -> tuple[str, ...]:
    name = spec.name
    found = [
        f"{deploy} is scaled by hand to {count}; the file says {spec.deploys[deploy].replicas}. "
        f"Follow the file again: appliance scale {name}/{deploy} auto"
        for deploy, count in head.scale.items()
        if deploy in spec.deploys and count != spec.deploys[deploy].replicas
    ]
    missing = [other for other in spec.depends_on if state.services.get(other) is None]
    found += [f"It waits for {other}, which does not exist yet." for other in missing]
    if head.halted:
        found.append(f"{name} is stopped. Start it: appliance start {name}")
    if head.paused:
        found.append(f"The rollout is paused. Go on with it: appliance rollout resume {name}")
    return tuple(found)


def _complete_before(state: State, head: ServiceHead) -> int:
    """The last revision before the head's that was complete, else the one before; 0 when there is none."""
    rollout = state.rollouts.get(head.service)
    if rollout is not None:
        done = rollout.revision if rollout.state == "done" else rollout.previous
        for number in (done, rollout.previous):
            if 0 < number < head.revision and state.revision(head.service, number) is not None:
                return number
    numbers = [known.number for _, known in state.revisions.below(f"{head.service}/")]
    return max((number for number in numbers if number < head.revision), default=0)


def _refuse_removed(context: Context, old: Revision) -> None:
    """Raises SpecInvalid for images, Refused for versions of secrets that the cluster does not keep any more."""
    problems = [one for one in checks.problems_of(context, old.spec, "") if one.path != "secrets"]
    if problems:
        raise SpecInvalid(problems)
    gone = [
        f"{name} version {version}"
        for name, version in old.secrets.items()
        if context.state.secrets.get(keys.secret_name(old.service, name, version)) is None
    ]
    if gone:
        raise Refused(
            f"Revision {old.number} of {old.service} cannot come back: the cluster does not keep {', '.join(gone)}.",
            why="these versions of its secrets were removed",
            next=f"apply its file, which takes the newest ones: appliance history {old.service} --show {old.number}",
            page="services",
        )


def _ids(images: dict[str, Image]) -> dict[str, str]:
    return {reference: image.id for reference, image in images.items()}
