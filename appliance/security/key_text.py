"""Whether a file of keys or certificates is whole, by its form alone: before anybody takes it for what it was.

PEM has a first and a last line around base64 (RFC 7468); OpenSSH's public form is a line of type, base64 and comment,
and the base64 begins with the type again (RFC 4253, 6.6).
"""

import binascii
import re

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\s*")

_KEY = (0, 0)
_CERTIFICATE = (0, 0, 0, 8, 4, 0, 0, 8, 8, 0, 0, 0, 0, 0)
"""Fields of an Ed25519 key and of a certificate for one (openssh, PROTOCOL.certkeys): 0 for a string, else bytes."""


def is_whole(content: bytes) -> bool:
    """One or more PEM blocks, or lines of OpenSSH's public form, and nothing else."""
    if not content.strip():
        return False
    if content.startswith(b"-----BEGIN "):
        blocks = list(_PEM.finditer(content))
        joined = b"".join(block[0] for block in blocks)
        return joined == content and all(_decoded(block[2].replace(b"\n", b"")) for block in blocks)
    return all(_is_public(line) for line in content.strip().split(b"\n"))


def _is_public(line: bytes) -> bool:
    kind, _, rest = line.partition(b" ")
    decoded = _decoded(rest.partition(b" ")[0])
    if not kind or decoded[4 : 4 + len(kind)] != kind:
        return False
    return _fits(decoded, _CERTIFICATE if b"-cert-" in kind else _KEY)


def _fits(content: bytes, fields: tuple[int, ...]) -> bool:
    """Whether it is these fields and no more: so many bytes each, 0 for a string with its length in front."""
    at = 0
    for size in fields:
        at += size or 4 + int.from_bytes(content[at : at + 4])
    return at == len(content)


def _decoded(text: bytes) -> bytes:
    """Nothing where it is not base64."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return b""
