"""Values as they lie in the store and on disk: JSON that a person can read with etcdctl."""

from typing import TypeVar

import msgspec

from appliance.errors import LocalStateDamaged

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="deterministic")


def encode(value: object) -> bytes:
    return _encoder.encode(value)


def decode[T](data: bytes, kind: type[T], *, where: str) -> T:
    """Raises LocalStateDamaged, naming `where`, when `data` is not a `kind`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
        raise LocalStateDamaged(
            f"What is kept at {where} is not a readable {kind.__name__}.",
            where=where,
            why=str(error),
            next="if this release is older than the one that wrote it, upgrade this node first",
        ) from error
