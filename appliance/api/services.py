"""Services: apply, scale, roll back, delete; every accepted change is a new head, every new spec a new revision."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.progress import Changes, Progress, progress
from appliance.api.rows import instance_rows, service_rows
from appliance.errors import Conflict, NotFound, Problem, Refused, SpecInvalid, UsageError
from appliance.model.cluster import SYSTEM_SERVICE, Image
from appliance.model.service import Revision, Service, ServiceHead
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Expect, Put

LONGEST_WAIT = 30.0
LARGEST_SCALE = 10_000


class Apply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`index`: the revision the author saw (0: none yet); the apply is refused if there is a newer one."""

    text: str
    file: str = ""
    message: str = ""
    variables: dict[str, str] = {}
    index: int | None = None


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    deploy: str
    replicas: int


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`to`: a revision's number; 0 for the one before the current."""

    to: int = 0


def routes(context: Context, changes: Changes) -> list[Route]:
    def apply_(call: Call) -> object:
        return apply(context, call.data(Apply), call.user)

    def compare(call: Call) -> object:
        return compare_spec(context, call.data(Apply))

    def listing(_: Call) -> object:
        return service_rows(context.state)

    def show(call: Call) -> object:
        head, revision = current(context, call.path["name"])
        return {
            "service": head.service,
            "revision": head.revision,
            "scale": head.scale,
            "deleted": head.deleted,
            "author": revision.author,
            "created_at": revision.created_at,
            "spec": msgspec.to_builtins(revision.spec),
            "instances": instance_rows(context.state, head.service),
        }

    def delete(call: Call) -> object:
        head, _ = current(context, call.path["name"])
        _write_head(context, msgspec.structs.replace(head, deleted=True))
        return {"service": head.service, "deleted": True}

    def scale(call: Call) -> object:
        return scale_deploy(context, call.path["name"], call.data(Scale))

    def history(call: Call) -> object:
        head, _ = current(context, call.path["name"])
        return [
            {
                "revision": revision.number,
                "current": revision.number == head.revision,
                "author": revision.author,
                "created_at": revision.created_at,
                "message": revision.message,
            }
            for _, revision in context.state.revisions.below(f"{head.service}/")
        ]

    def roll_back_(call: Call) -> object:
        return roll_back(context, call.path["name"], call.data(Rollback).to, call.user)

    def follow(call: Call) -> object:
        return _follow(context, changes, call)

    one = "/api/services/<name>"
    return [
        Route("POST", "/api/services", apply_),
        Route("POST", "/api/diff", compare),
        Route("GET", "/api/services", listing),
        Route("GET", one, show),
        Route("DELETE", one, delete),
        Route("POST", f"{one}/scale", scale),
        Route("GET", f"{one}/history", history),
        Route("POST", f"{one}/rollback", roll_back_),
        Route("GET", f"{one}/progress", follow),
    ]


def apply(context: Context, wish: Apply, author: str) -> dict[str, object]:
    """Make the spec the service's current one. A spec equal to the current one makes no revision."""
    spec = context.read_service(wish.text, wish.file, wish.variables)
    if spec.name == SYSTEM_SERVICE:
        raise Refused(f"The name {SYSTEM_SERVICE} is the appliance's own.", next="choose another service name")
    head = context.state.services.get(spec.name)
    _refuse_unless_expected(head, wish.index)
    if head is not None and head.deleted:
        raise Conflict(f"{spec.name} is being deleted.", next="apply again when `appliance ps` shows it no more")
    require_images(context, spec, wish.file)
    known = context.state.revision(spec.name, head.revision) if head else None
    images = loaded_images(context, spec)
    if head is not None and known is not None and known.spec == spec and _ids(known.images) == _ids(images):
        if head.scale:
            _write_head(context, msgspec.structs.replace(head, scale={}))
        return {"service": spec.name, "revision": head.revision, "changed": bool(head.scale)}
    number = _add_revision(context, spec, images, head, author, wish.message)
    return {"service": spec.name, "revision": number, "changed": True}


def compare_spec(context: Context, wish: Apply) -> dict[str, object]:
    """What `apply` would change, without changing it."""
    from appliance.spec.diff import diff

    spec = context.read_service(wish.text, wish.file, wish.variables)
    head = context.state.services.get(spec.name)
    known = context.state.revision(spec.name, head.revision) if head else None
    found = diff(known.spec if known else Service(name=spec.name), spec)
    return {
        "service": spec.name,
        "revision": head.revision if head else 0,
        "changes": [
            {"path": path, "old": msgspec.to_builtins(old), "new": msgspec.to_builtins(new)} for path, old, new in found
        ],
    }


def require_images(context: Context, spec: Service, file: str) -> None:
    """Raises SpecInvalid naming every image that the cluster does not have."""
    problems = [
        Problem(
            f"the cluster has no image {container.image}; load it: appliance image load FILE",
            f"deploys.{deploy.name}.containers.{name}.image",
            file,
        )
        for deploy in spec.deploys.values()
        for name, container in deploy.containers.items()
        if not has_image(context, container.image)
    ]
    if problems:
        raise SpecInvalid(problems)


def has_image(context: Context, reference: str) -> bool:
    bundled = context.bundle_images
    return (
        reference in bundled
        or any(reference == known.rpartition(":")[0] for known in bundled)
        or context.state.images.get(reference) is not None
    )


def scale_deploy(context: Context, service: str, wish: Scale) -> dict[str, object]:
    head, revision = current(context, service)
    if wish.deploy not in revision.spec.deploys:
        known = ", ".join(revision.spec.deploys)
        raise NotFound(f"{service} has no deploy called {wish.deploy}.", why=f"it has {known}")
    if not 0 <= wish.replicas <= LARGEST_SCALE:
        raise UsageError(f"{wish.replicas} is not a number of replicas from 0 to {LARGEST_SCALE}.")
    _write_head(context, msgspec.structs.replace(head, scale={**head.scale, wish.deploy: wish.replicas}))
    return {"service": service, "deploy": wish.deploy, "replicas": wish.replicas}


def roll_back(context: Context, service: str, to: int, author: str) -> dict[str, object]:
    """The old spec becomes a new revision, so that history only grows."""
    head, revision = current(context, service)
    numbers = [known.number for _, known in context.state.revisions.below(f"{service}/")]
    target = to or max((number for number in numbers if number < head.revision), default=0)
    old = context.state.revision(service, target)
    if old is None:
        raise NotFound(
            f"{service} has no revision {to}." if to else f"{service} has no earlier revision.",
            next=f"see: appliance history {service}",
        )
    if old.spec == revision.spec and _ids(old.images) == _ids(revision.images):
        return {"service": service, "revision": head.revision, "changed": False}
    require_images(context, old.spec, "")
    number = _add_revision(context, old.spec, old.images, head, author, f"rollback to revision {target}")
    return {"service": service, "revision": number, "changed": True}


def current(context: Context, service: str) -> tuple[ServiceHead, Revision]:
    """The head and its revision; raises NotFound, or Conflict while the service is being deleted."""
    head = context.state.services.get(service)
    revision = context.state.revision(service, head.revision) if head else None
    if head is None or revision is None:
        raise NotFound(f"There is no service called {service}.", next="see: appliance ps")
    return head, revision


def _refuse_unless_expected(head: ServiceHead | None, index: int | None) -> None:
    found = head.revision if head else 0
    if index is not None and index != found:
        raise Conflict(
            f"The service is at revision {found}, not {index}.",
            why="somebody else changed it since",
            next="look at what changed (appliance diff, appliance history) and apply again",
        )


def loaded_images(context: Context, spec: Service) -> dict[str, Image]:
    """The images of the spec that were loaded into the cluster, as they are now."""
    references = {container.image for deploy in spec.deploys.values() for container in deploy.containers.values()}
    found = {reference: context.state.images.get(reference) for reference in sorted(references)}
    return {reference: image for reference, image in found.items() if image is not None}


def _ids(images: dict[str, Image]) -> dict[str, str]:
    return {reference: image.id for reference, image in images.items()}


def _add_revision(
    context: Context, spec: Service, images: dict[str, Image], head: ServiceHead | None, author: str, message: str
) -> int:
    numbers = [known.number for _, known in context.state.revisions.below(f"{spec.name}/")]
    number = max([*numbers, head.revision if head else 0]) + 1
    revision = Revision(
        service=spec.name,
        number=number,
        spec=spec,
        author=author,
        created_at=context.now(),
        message=message,
        images=images,
    )
    services = context.state.services
    base = head or ServiceHead(service=spec.name, revision=0)
    key = keys.revision_key(spec.name, number)
    context.commit(
        [
            Put(key, encode(revision)),
            services.put(spec.name, msgspec.structs.replace(base, revision=number, scale={})),
        ],
        [services.unchanged(spec.name), Expect(key, 0)],
    )
    return number


def _write_head(context: Context, head: ServiceHead) -> None:
    services = context.state.services
    context.commit([services.put(head.service, head)], [services.unchanged(head.service)])


def _follow(context: Context, changes: Changes, call: Call) -> object:
    """Answers once the progress is no longer the one of tag `seen`, or is done, or the timeout is over."""
    name, seen = call.path["name"], call.query.get("seen", "")
    found = progress(context.state, name)

    def moved() -> bool:
        nonlocal found
        found = progress(context.state, name)
        return found.done or _tag(found) != seen

    changes.wait_until(moved, call.seconds("timeout", 0.0, LONGEST_WAIT))
    return {**msgspec.to_builtins(found), "tag": _tag(found)}


def _tag(found: Progress) -> str:
    return f"{found.revision}.{found.ready}.{found.wanted}.{hash(found.waiting) & 0xFFFFFFFF:08x}"
