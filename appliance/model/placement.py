"""Whether a node suits a placement, as far as what people wrote about both decides it. Pure."""

from collections.abc import Iterable, Mapping

NOT_READY = "not-ready"
"""What a placement tolerates to be put on a node that has joined and is not ready."""


def carries(labels: Mapping[str, str], require: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the labels have, for each name required, one of the values."""
    return all(labels.get(name) in values for name, values in require.items())


def tolerates(tolerate: Iterable[str], taints: Mapping[str, str]) -> bool:
    """Whether every taint is tolerated: by ``KEY`` whatever its value, by ``KEY=VALUE``, or by ``*``."""
    allowed = frozenset(tolerate)
    return "*" in allowed or all(key in allowed or f"{key}={value}" in allowed for key, value in taints.items())
