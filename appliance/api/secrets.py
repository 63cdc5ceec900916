"""Secrets of services: set, listed without their values, removed. A value goes in here and never comes out."""

import re
from collections.abc import Iterator

import msgspec

from appliance.api.call import Call, Route
from appliance.api.checks import newest_secrets
from appliance.api.context import Context
from appliance.errors import NotFound, Refused, UsageError
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.secret import MOST_BYTES, Secret
from appliance.model.service import Revision
from appliance.security.secrets import sealed_secret
from appliance.store import keys
from appliance.store.state import State
from appliance.store.store import Expect

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""As the spec reader takes it, of services and secrets alike."""


class NewSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    value: str


def routes(context: Context) -> list[Route]:
    state = context.state

    def listing(call: Call) -> object:
        service = call.query.get("service", "")
        found = state.secrets.below(f"{service}/") if service else state.secrets.all().items()
        return [_row(state, secret) for _, secret in found]

    def put(call: Call) -> object:
        service, name = call.path["service"], call.path["name"]
        return set_secret(context, service, name, call.data(NewSecret).value, call.user)

    def remove(call: Call) -> object:
        return remove_secret(context, call.path["service"], call.path["name"])

    return [
        Route("GET", "/api/secrets", listing),
        Route("POST", "/api/secrets/<service>/<name>", put),
        Route("DELETE", "/api/secrets/<service>/<name>", remove),
    ]


def set_secret(context: Context, service: str, name: str, value: str, author: str) -> dict[str, object]:
    """A new version. Raises UsageError for what cannot be a secret, Conflict when somebody sets it at the same time."""
    _check(service, name, value)
    state = context.state
    version = 1 + max(_versions_ever(state, service, name), default=0)
    secret = sealed_secret(context.seal, service, name, version, value, author, context.now())
    key = keys.secret_name(service, name, version)
    context.commit([state.secrets.put(key, secret)], [Expect(state.secrets.prefix + key, 0)])
    return _row(state, secret)


def remove_secret(context: Context, service: str, name: str) -> dict[str, object]:
    """All versions. Refused while the current revision of the service names it."""
    secrets = context.state.secrets
    found = [key for key, _ in secrets.below(f"{service}/{name}/")]
    if not found:
        raise NotFound(f"There is no secret {service}/{name}.", next="see: appliance secret ls")
    head = context.state.services.get(service)
    current = context.state.revision(service, head.revision) if head else None
    if current is not None and name in current.secrets:
        raise Refused(
            f"{service}/{name} is used by the current revision of {service}.",
            where=f"revision {current.number}",
            next=f"apply {service} without it first",
        )
    context.commit([secrets.delete(key) for key in found], [context.state.services.still(service, head)])
    return {"service": service, "name": name, "removed": True}


def _row(state: State, secret: Secret) -> dict[str, object]:
    revisions = _revisions(state, secret.service)
    return {
        "service": secret.service,
        "name": secret.name,
        "version": secret.version,
        "author": secret.author,
        "created_at": secret.created_at,
        "newest": newest_secrets(state, secret.service).get(secret.name) == secret.version,
        "used_by": [one.number for one in revisions if one.secrets.get(secret.name) == secret.version],
    }


def _versions_ever(state: State, service: str, name: str) -> Iterator[int]:
    """Also those that were removed and that a revision still names: what they were must never be something else."""
    yield from (secret.version for _, secret in state.secrets.below(f"{service}/{name}/"))
    yield from (one.secrets[name] for one in _revisions(state, service) if name in one.secrets)


def _revisions(state: State, service: str) -> list[Revision]:
    return [revision for _, revision in state.revisions.below(f"{service}/")]


def _check(service: str, name: str, value: str) -> None:
    for each in (service, name):
        if not _NAME.fullmatch(each):
            raise UsageError(
                f"{each} is not a name.",
                why="a name is up to 63 of a-z, 0-9 and -",
                next="SERVICE/NAME, as shop/db-password",
            )
    if service == SYSTEM_SERVICE:
        raise Refused(f"The name {SYSTEM_SERVICE} is the appliance's own.", next="choose another service name")
    size = len(value.encode())
    if not value or size > MOST_BYTES or "\0" in value:
        raise UsageError(
            f"This cannot be the value of {service}/{name}.",
            why=f"it has {size} bytes" + (", one of them NUL" if "\0" in value else ""),
            next=f"a secret is text of 1 to {MOST_BYTES} bytes without NUL; encode anything else, as with base64",
            page="secrets",
        )
