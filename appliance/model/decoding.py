"""JSON into typed values, from any thread: the only way to do so here.

msgspec (0.22) is not safe when two threads meet a struct type for the first time: one of them reads a description that
the other has not finished, and the process dies of SIGSEGV. So each type is described by one thread at a time.
"""

import threading
from typing import Any, overload

import msgspec

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_describing = threading.Lock()


@overload
def decoder[T](kind: type[T]) -> msgspec.json.Decoder[T]: ...
@overload
def decoder(kind: Any) -> msgspec.json.Decoder[Any]: ...
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """The same one for each kind; any number of threads may use it at once."""
    known = _decoders.get(kind)
    if known is None:
        with _describing:
            known = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return known


def decode[T](data: bytes | str, kind: type[T]) -> T:
    """Raises msgspec.DecodeError (of which msgspec.ValidationError is one), or UnicodeDecodeError."""
    return decoder(kind).decode(data)
