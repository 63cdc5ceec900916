"""Frames over a stream socket, for the agent's own socket: what WebSockets give, without their price in an agent.

A frame is a kind (1 byte: ``t`` for JSON text, ``b`` for bytes), its length (4 bytes, big-endian) and its content. The
first byte of a binary frame says which stream the rest belongs to.
"""

import struct

from appliance.errors import ApplianceError, LinkDown

STDOUT, STDERR = 1, 2
"""The first byte of a binary frame towards a person; towards a command it is 0."""
LARGEST_FRAME = 1024 * 1024
HEADER = struct.Struct(">cI")
TEXT, BYTES = b"t", b"b"

Frame = str | bytes


def packed(frame: Frame) -> bytes:
    kind, content = (TEXT, frame.encode()) if isinstance(frame, str) else (BYTES, frame)
    return HEADER.pack(kind, len(content)) + content


def length_of(header: bytes) -> tuple[bytes, int]:
    """(kind, bytes of content) of a frame; raises LinkDown for what begins no frame."""
    kind, length = HEADER.unpack(header)
    if kind not in (TEXT, BYTES) or length > LARGEST_FRAME:
        raise LinkDown("What arrived is not a frame.", why=f"kind {kind!r}, {length} bytes")
    return kind, length


def unpacked(kind: bytes, content: bytes) -> Frame:
    return content.decode() if kind == TEXT else content


def error_fields(error: ApplianceError) -> dict[str, object]:
    """What the command line makes the same error of."""
    return {
        "kind": error.kind,
        "what": error.what,
        "where": error.where,
        "why": error.why,
        "next": error.next,
        "page": error.page,
        "exit_code": error.exit_code,
    }
