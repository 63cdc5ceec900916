"""What a service has to have around it before it is accepted: images, secrets, other services and their entries."""

from collections.abc import Iterator, Mapping

from appliance.api.context import Context
from appliance.errors import Problem, Refused
from appliance.model.cluster import SYSTEM_SERVICE, Image
from appliance.model.definition import hooks_of, images_of
from appliance.model.service import Service
from appliance.security.ca import pair_in
from appliance.security.secrets import plain_text
from appliance.store.state import State


def problems_of(context: Context, spec: Service, file: str) -> list[Problem]:
    """Everything the cluster lacks for this service; raises Refused for a name that nobody may have."""
    if spec.name == SYSTEM_SERVICE:
        raise Refused(f"The name {SYSTEM_SERVICE} is the appliance's own.", next="choose another service name")
    found = [*_images(context, spec, file), *_secrets(context.state, spec, file), *_entry(context, spec, file)]
    circle = circle_of(spec.name, {**dependencies(context.state), spec.name: spec.depends_on})
    if circle:
        found.append(Problem(f"the service would wait for itself: {' → '.join(circle)}", "depends_on", file))
    return found


def loaded_images(context: Context, spec: Service) -> dict[str, Image]:
    """The images of the spec that were loaded into the cluster, as they are now."""
    found = {reference: context.state.images.get(reference) for reference in sorted(images_of(spec))}
    return {reference: image for reference, image in found.items() if image is not None}


def newest_secrets(state: State, service: str) -> dict[str, int]:
    """Name → newest version of every secret that was set for the service."""
    return {secret.name: secret.version for _, secret in state.secrets.below(f"{service}/")}


def dependencies(state: State) -> dict[str, tuple[str, ...]]:
    """Service → those that it waits for, of every service that is there to stay."""
    found = {}
    for name, head in state.services.all().items():
        revision = state.revision(name, head.revision)
        if revision is not None and not head.deleted:
            found[name] = revision.spec.depends_on
    return found


def circle_of(service: str, needs: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A way from `service` over its dependencies back to itself (both ends named); empty when there is none."""
    ways: list[tuple[str, ...]] = [(service,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for other in needs.get(way[-1], ()):
            if other == service:
                return (*way, other)
            if other not in seen:
                seen.add(other)
                ways.append((*way, other))
    return ()


def _images(context: Context, spec: Service, file: str) -> Iterator[Problem]:
    for path, reference in _places(spec):
        if not has_image(context, reference):
            yield Problem(f"the cluster has no image {reference}; load it: appliance image load FILE", path, file)


def _places(spec: Service) -> Iterator[tuple[str, str]]:
    """Where the spec names which image."""
    for deploy in spec.deploys.values():
        for name, container in deploy.containers.items():
            yield f"deploys.{deploy.name}.containers.{name}.image", container.image
        for hook in hooks_of(deploy):
            if hook.image:
                yield f"deploys.{deploy.name}", hook.image
    for job in spec.jobs.values():
        yield f"jobs.{job.name}.container.image", job.container.image


def has_image(context: Context, reference: str) -> bool:
    bundled = context.bundle_images
    return (
        reference in bundled
        or any(reference == known.rpartition(":")[0] for known in bundled)
        or context.state.images.get(reference) is not None
    )


def _secrets(state: State, spec: Service, file: str) -> Iterator[Problem]:
    known = newest_secrets(state, spec.name)
    for name in spec.secrets:
        if name not in known:
            yield Problem(f"{name} has no value yet; set it: appliance secret set {spec.name}/{name}", "secrets", file)


def _entry(context: Context, spec: Service, file: str) -> Iterator[Problem]:
    """Rules that another service has already, and certificates that are none."""
    others = _claims(context.state, spec.name)
    for number, entry in enumerate(spec.entry):
        if other := others.get(entry.claim):
            yield Problem(f"the service {other} has the entry {entry.claim} already", f"entry.{number}", file)
    used = {entry.certificate: number for number, entry in enumerate(spec.entry) if entry.certificate}
    versions = newest_secrets(context.state, spec.name)
    for name, number in used.items():
        if name in versions:
            try:
                pair_in(plain_text(context.state, context.seal, spec.name, name, versions[name]))
            except ValueError as error:
                yield Problem(f"the secret {name} is no certificate: {error}", f"entry.{number}.certificate", file)


def _claims(state: State, service: str) -> dict[str, str]:
    """What other services ask for in their newest revision → which service."""
    found: dict[str, str] = {}
    for name, head in state.services.all().items():
        revision = None if head.deleted or name == service else state.revision(name, head.revision)
        found |= {entry.claim: name for entry in (revision.spec.entry if revision else ())}
    return found
