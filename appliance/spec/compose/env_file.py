"""The files that `env_file` names, and `.env`: one NAME=VALUE a line."""

import re
from collections.abc import Mapping

from appliance.spec.compose.interpolation import Interpolation

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:=\s*(.*))?")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$"}


def read_env_file(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Raises ValueError, naming the line. A name without a value is taken from `environment`, or left out."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is not NAME=VALUE")
        name, value = match[1], match[2]
        if value is not None:
            found[name] = _value(value, {**environment, **found}, number)
        elif name in environment:
            found[name] = environment[name]
    return found


def _value(text: str, environment: Mapping[str, str], number: int) -> str:
    if text.startswith("'"):
        return _quoted(text, "'", number)
    if text.startswith('"'):
        inside = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), _quoted(text, '"', number))
        return Interpolation(environment, "").text(inside)
    return Interpolation(environment, "").text(re.split(r"(?:^|\s+)#", text)[0].strip())


def _quoted(text: str, quote: str, number: int) -> str:
    match = re.fullmatch(rf"{quote}((?:[^{quote}\\]|\\.)*){quote}\s*(?:#.*)?", text)
    if match is None:
        raise ValueError(f"line {number}: the quote is not closed on its line")
    return match[1]
