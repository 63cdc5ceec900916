"""`${name}` in a service file: replaced by a variable of the service; `$$` is a literal dollar."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)\}")


def substitute(text: str, variables: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with its variables put in, and the names that are no variables (left as they are).

    ``$${name}`` becomes ``${name}`` and ``$$(date)`` becomes ``$(date)``, for the container's own shell. A dollar
    before anything else is kept.
    """
    unknown: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        if name not in variables:
            unknown.append(name)
            return match[0]
        return variables[name]

    return _REFERENCE.sub(replace, text), unknown
