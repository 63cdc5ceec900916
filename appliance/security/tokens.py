"""Join tokens: good for one node and one day, and carrying what a new host needs to recognise the cluster.

The text is ``APPL1.`` and base64url of a JSON object. It holds the CA's fingerprint, so that a joining host knows
whom it talks to before it sends the secret; the store keeps the secret's hash only.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

import msgspec

from appliance.errors import UsageError
from appliance.model.cluster import JoinToken
from appliance.model.decoding import decode
from appliance.model.moment import text_of
from appliance.model.node import Role

PREFIX = "APPL1."
LIFETIME = timedelta(hours=24)
_APART = timedelta(hours=1)
"""By which the clocks of two managers may differ."""
_LONGEST = 4096


class ParsedToken(msgspec.Struct, frozen=True, kw_only=True):
    """`managers`: HOST:PORT of the managers' API. `authority`: lower-case hex SHA-256 of the CA certificate (DER).

    `address`: where managers call the new host, "" : it calls them.
    """

    id: str
    secret: str
    role: Role
    managers: tuple[str, ...]
    authority: str
    address: str = ""


def create_token(
    managers: tuple[str, ...], authority: str, role: Role, now: float, address: str = ""
) -> tuple[str, JoinToken]:
    """The text for a person, and what the store keeps of it. `now` in seconds since the epoch."""
    parsed = ParsedToken(
        id=secrets.token_hex(6),
        secret=secrets.token_urlsafe(24),
        role=role,
        managers=managers,
        authority=authority,
        address=address,
    )
    created = datetime.fromtimestamp(now, UTC)
    kept = JoinToken(
        id=parsed.id,
        secret_hash=_digest(parsed.secret),
        role=role,
        created_at=_text(created),
        expires_at=_text(created + LIFETIME),
        address=address,
    )
    body = base64.urlsafe_b64encode(msgspec.json.encode(parsed)).decode().rstrip("=")
    return PREFIX + body, kept


def parse_token(text: str) -> ParsedToken:
    """Raises UsageError when the text is not a whole token."""
    text = text.strip()
    body = text.removeprefix(PREFIX)
    try:
        if not text.startswith(PREFIX) or len(text) > _LONGEST:
            raise ValueError(f"a token starts with {PREFIX} and is one word")
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        parsed = decode(data, ParsedToken)
        if not parsed.managers or len(parsed.authority) != 64:
            raise ValueError("it names no manager or no authority")
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise UsageError(
            "This is not a join token.",
            why=str(error),
            next="copy the whole token as `appliance token create` printed it",
            page="nodes",
        ) from error
    return parsed


def check(token: JoinToken, secret: str) -> bool:
    """Whether `secret` belongs to `token`; takes the same time for every wrong secret."""
    return hmac.compare_digest(token.secret_hash, _digest(secret))


def in_force(token: JoinToken, now: float) -> bool:
    """Whether it has not expired. One that a clock ahead of `now` made would be good for as much longer, and is not in
    force either."""
    left = datetime.fromisoformat(token.expires_at) - datetime.fromtimestamp(now, UTC)
    return timedelta(0) < left <= LIFETIME + _APART


def _digest(secret: str) -> str:
    # A random secret of 192 bits needs no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(moment: datetime) -> str:
    return text_of(moment, "seconds")
