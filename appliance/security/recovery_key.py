"""The recovery key: what opens a cluster's backups, in a form that a person writes down on paper.

It is derived from the key that secrets are sealed with, which every manager has: there is nothing more to make, to
keep or to hand to a new manager, and each of them can show it again. Nobody gets back from it to that key.
"""

import base64
import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import Refused

_SECRET_BYTES = 18
_CHECK_BYTES = 2
_GROUP = 4
_MISREAD = str.maketrans("018", "OIB", "- \t\r\n")
"""Base32 (RFC 4648) has none of these digits, so that what looks like one is the letter."""


def recovery_secret(seal_key: bytes) -> bytes:
    """144 bits."""
    return HKDF(SHA256(), _SECRET_BYTES, None, b"appliance recovery key 1").derive(seal_key)


def recovery_text(secret: bytes) -> str:
    """``ABCD-EFGH-…``: eight groups, the last letters of which tell a slip of the pen from another key."""
    text = base64.b32encode(secret + _check(secret)).decode()
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def parse_recovery_text(text: str) -> bytes:
    """The secret that the text says, in whatever case and grouping. Raises Refused for what is no recovery key."""
    try:
        data = base64.b32decode(text.upper().translate(_MISREAD))
    except ValueError:
        data = b""
    secret, check = data[:_SECRET_BYTES], data[_SECRET_BYTES:]
    if len(secret) != _SECRET_BYTES or check != _check(secret):
        raise Refused(
            "This is not a recovery key.",
            why="it has a letter too many, too few or wrong",
            next="read it again: eight groups of four letters and digits",
            page="backup#the-recovery-key",
        )
    return secret


def key_id(secret: bytes) -> str:
    """Tells one recovery key from another without giving it away."""
    return hashlib.sha256(b"appliance recovery key id" + secret).hexdigest()[:16]


def _check(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()[:_CHECK_BYTES]
