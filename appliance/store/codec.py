"""Values as they lie in the store and on disk: JSON that a person can read with etcdctl.

A newer release may have written them. What it added is not known here and stays nevertheless: whoever changes a value
writes it by `rewritten`. What it gave another meaning carries a number (`SCHEMA`) and is left alone.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import LocalStateDamaged, NewerState
from appliance.model import decoding

SCHEMA = 1
"""The newest way of writing values that this release knows. A value without a field `schema` is of the first."""

_encoder = msgspec.json.Encoder(order="deterministic")


class _Written(msgspec.Struct, frozen=True):
    schema: int = 1


def encode(value: object) -> bytes:
    return _encoder.encode(value)


def decode[T](data: bytes, kind: type[T], *, where: str) -> T:
    """Raises LocalStateDamaged, naming `where`, when `data` is not a `kind`; NewerState when its schema is newer."""
    try:
        # Nothing writes the number yet; a look for it costs less than reading every value twice.
        if b'"schema":' in data and (schema := decoding.decode(data, _Written).schema) > SCHEMA:
            raise _newer(where, schema)
        return decoding.decode(data, kind)
    except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
        raise LocalStateDamaged(
            f"What is kept at {where} is not a readable {kind.__name__}.",
            where=where,
            why=str(error),
            next="if this release is older than the one that wrote it, upgrade this node first",
        ) from error


def rewritten(data: bytes, value: object, *, where: str) -> bytes:
    """The encoding of `value`, which takes the place of `data`, with all of `data` that this release does not know.

    Raises LocalStateDamaged when `data` is not of the same kind as `value`: what cannot be read is not replaced. In a
    list, what became of an item is told by its being the same, or the only one that changed with as many others as
    before; what is unknown in others goes with them.
    """
    known, now = encode(decode(data, type(value), where=where)), encode(value)
    if known == data:
        return now
    return encode(_kept(*(msgspec.json.decode(each) for each in (data, known, now))))


def rewritten_file(path: Path, value: object) -> bytes:
    """What to write into a file of this node: as `rewritten`; all of it anew where there is none or it is damaged.

    Raises NewerState.
    """
    try:
        return rewritten(path.read_bytes(), value, where=str(path))
    except NewerState:
        raise
    except (FileNotFoundError, LocalStateDamaged):
        return encode(value)


def _newer(where: str, schema: int) -> NewerState:
    return NewerState(
        f"What is kept at {where} was written by a newer release; it is left alone.",
        where=where,
        why=f"it is of schema {schema}, and this release knows none newer than {SCHEMA}",
        next="upgrade this node first",
        page="managers#releases-side-by-side",
    )


def _kept(was: Any, known: Any, now: Any) -> Any:
    """`now` with what is in `was` and not in `known`, which is as much of it as this release understands. Pure."""
    if isinstance(was, dict) and isinstance(known, dict) and isinstance(now, dict):
        unknown = {name: value for name, value in was.items() if name not in known}
        both = was.keys() & known.keys()
        return unknown | {
            name: _kept(was[name], known[name], value) if name in both else value for name, value in now.items()
        }
    if isinstance(was, list) and isinstance(known, list) and isinstance(now, list) and len(was) == len(known):
        return _kept_items(was, known, now)
    return now


def _kept_items(was: list[Any], known: list[Any], now: list[Any]) -> list[Any]:
    left: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, item in enumerate(known):
        left[encode(item)].append(place)
    places = [same.pop(0) if (same := left.get(encode(item))) else None for item in now]
    changed = sorted(place for same in left.values() for place in same)
    if len(changed) == places.count(None):  # the same items, some of them changed
        places = [changed.pop(0) if place is None else place for place in places]
    return [
        item if place is None else _kept(was[place], known[place], item)
        for item, place in zip(now, places, strict=True)
    ]
