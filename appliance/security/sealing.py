"""Sealing: what lies on a disk or in the store can be read only by who has the key, which lies elsewhere.

A sealed value is a byte for the version of this format (1), 12 bytes that never repeat, and AES-256-GCM's ciphertext
(NIST SP 800-38D). What the value is about is sealed with it, so that no sealed value can take another's place.
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.errors import ApplianceError, LocalStateDamaged
from appliance.host.files import write_atomic

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


class Seal:
    """Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, about: str) -> bytes:
        """Another result each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """Raises ApplianceError for what was not sealed with this key, or about something else, or was changed."""
        nonce, cipher = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _VERSION or len(nonce) < _NONCE_BYTES:
                raise _closed(about, "it is not in a form that this release knows")
            return self._cipher.decrypt(nonce, cipher, about.encode())
        except InvalidTag:
            raise _closed(about, "it was sealed with another key, or changed afterwards") from None


def make_seal(file: Path) -> Seal:
    """With a new key, which is on the disk when this returns; nobody but root can read it."""
    key = os.urandom(KEY_BYTES)
    write_atomic(file, key)
    return Seal(key)


def read_seal(file: Path) -> Seal | None:
    """With the key of the file; None when there is none. Raises LocalStateDamaged for what is no key."""
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        return None
    if len(key) != KEY_BYTES or not any(key):
        raise LocalStateDamaged(
            "The key that secrets are sealed with is damaged.",
            where=str(file),
            why=f"it has {len(key)} bytes instead of {KEY_BYTES}" if any(key) else "it holds nothing but zeros",
            next="restore it from a backup",
            page="secrets",
        )
    return Seal(key)


def _closed(about: str, why: str) -> ApplianceError:
    return ApplianceError(f"The sealed value of {about} cannot be opened.", why=why, page="secrets")
