"""A stream sealed in chunks: memory stays bounded, and nothing that was cut, swapped, repeated or changed is read.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", 2015) in the form that age uses (age-encryption.org/v1, "Payload"), with AES-256-GCM:
chunks of 64 KiB, each with a nonce of its number (11 bytes) and a byte that says whether it is the last one. The key
serves one stream only, so that no nonce comes twice under it.
"""

import io
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 64 * 1024
SALT_BYTES = 16
_TAG = 16
_KEY_BYTES = 32


class StreamDamaged(Exception):
    """The text says why, as half a sentence."""


def stream_key(secret: bytes, salt: bytes, about: bytes) -> bytes:
    """The key of one stream (HKDF, RFC 5869): another one for each salt, and for anything else in `about`."""
    return HKDF(SHA256(), _KEY_BYTES, salt, about).derive(secret)


class SealedWriter(io.RawIOBase):
    """Seals what is written into `out`. The stream is whole only after `finish`."""

    def __init__(self, out: BinaryIO, key: bytes) -> None:
        self._out = out
        self._cipher = AESGCM(key)
        self._number = 0
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self._held += data
        # The last chunk is known only at the end, so one is always held back.
        while len(self._held) > CHUNK:
            self._seal(bytes(self._held[:CHUNK]), last=False)
            del self._held[:CHUNK]
        return len(data)

    def finish(self) -> None:
        self._seal(bytes(self._held), last=True)
        self._held.clear()

    def _seal(self, plain: bytes, *, last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, last), plain, None))
        self._number += 1


class SealedReader(io.RawIOBase):
    """Opens what `SealedWriter` sealed. Reading raises StreamDamaged; what was read before that is authentic, but it
    is the whole only once the end was reached."""

    def __init__(self, source: BinaryIO, key: bytes) -> None:
        self._source = source
        self._cipher = AESGCM(key)
        self._number = 0
        self._sealed = source.read(CHUNK + _TAG)
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if not self._plain and (self._sealed or not self._number):
            self._plain = memoryview(self._open())
        count = min(len(buffer), len(self._plain))
        buffer[:count] = self._plain[:count]
        self._plain = self._plain[count:]
        return count

    def _open(self) -> bytes:
        following = self._source.read(CHUNK + _TAG)
        try:
            plain = self._cipher.decrypt(_nonce(self._number, not following), self._sealed, None)
        except (InvalidTag, ValueError):  # ValueError: shorter than a tag
            raise StreamDamaged(f"its part {self._number + 1} was changed, cut off or is not in its place") from None
        self._sealed = following
        self._number += 1
        return plain


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
