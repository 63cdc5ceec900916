"""What differs between two services, field by field."""

from collections.abc import Iterator
from typing import cast

import msgspec

from appliance.model.service import Service

Difference = tuple[str, object, object]
"""Dotted path, old value, new value; None for what is not there."""


def diff(old: Service, new: Service) -> list[Difference]:
    """In the order of the fields; lists are compared whole. A part that only one side has is one difference."""
    return list(differences("", old, new))


def differences(path: str, old: object, new: object) -> Iterator[Difference]:
    """The same for any two values of the model; `path` is theirs."""
    if old == new:
        return
    if isinstance(old, msgspec.Struct) and type(old) is type(new):
        for name in old.__struct_fields__:
            yield from differences(_join(path, name), getattr(old, name), getattr(new, name))
    elif isinstance(old, dict) and isinstance(new, dict):
        ours, theirs = cast(dict[str, object], old), cast(dict[str, object], new)
        for name in dict.fromkeys([*ours, *theirs]):
            yield from differences(_join(path, name), ours.get(name), theirs.get(name))
    else:
        yield path, old, new


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
