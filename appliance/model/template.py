"""Texts that only the node can complete: those that speak of the instance, the node or a secret.

A template holds ``${instance.name}``, ``${instance.index}``, ``${instance.ip}``, ``${node.name}``, ``${node.address}``
and ``${secret.NAME}``; ``$$`` in it is a literal dollar. Every other text is literal as it stands.
"""

import re
from collections.abc import Mapping

FACTS = ("instance.name", "instance.index", "instance.ip", "node.name", "node.address")
SECRET = "secret."

_REFERENCE = re.compile(r"\$\$|\$\{([a-z]+\.[A-Za-z0-9_.-]+)\}")


def names_in(text: str) -> tuple[str, ...]:
    """The names that a template refers to, in order, each once."""
    return tuple(dict.fromkeys(match[1] for match in _REFERENCE.finditer(text) if match[1]))


def secrets_in(text: str) -> tuple[str, ...]:
    """Names of the secrets that a template refers to."""
    return tuple(name.removeprefix(SECRET) for name in names_in(text) if name.startswith(SECRET))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The template with its values; KeyError for a name that has none."""
    return _REFERENCE.sub(lambda match: values[match[1]] if match[1] else "$", text)
