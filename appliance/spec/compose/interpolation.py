"""``${NAME}`` in a Compose file: put in from the environment before anything else is read (compose-spec, 12)."""

import re
from collections.abc import Mapping

from appliance.errors import Problem
from appliance.spec.yaml_text import Document, Path

_START = re.compile(r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|(?P<brace>\{))")
_DEEPEST = 10
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-?+])?")


class Interpolation:
    """Collects what cannot be put in: `unset` are variables that became nothing, `problems` are mistakes."""

    def __init__(self, environment: Mapping[str, str], file: str) -> None:
        self._environment = environment
        self._file = file
        self.unset: list[Problem] = []
        self.problems: list[Problem] = []

    def document(self, document: Document) -> Document:
        return Document(self._value(document.value, (), document), document.lines)

    def text(self, text: str) -> str:
        """Raises ValueError for what is no reference, and for a variable that is required and missing."""
        return self._fill(text, (), None)

    def _value(self, value: object, path: Path, document: Document) -> object:
        if isinstance(value, dict):
            return {key: self._value(item, (*path, key), document) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, (*path, number), document) for number, item in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        try:
            return self._fill(value, path, document)
        except ValueError as error:
            self.problems.append(self._problem(str(error), path, document))
            return value

    def _fill(self, text: str, path: Path, document: Document | None) -> str:
        out, position = [], 0
        while (match := _START.search(text, position)) is not None:
            out.append(text[position : match.start()])
            position = match.end()
            if match["dollar"]:
                out.append("$")
            elif match["plain"]:
                out.append(self._get(match["plain"], path, document))
            else:
                end = _closing(text, position)
                out.append(self._expression(text[position:end], path, document))
                position = end + 1
        return "".join([*out, text[position:]])

    def _expression(self, inside: str, path: Path, document: Document | None) -> str:
        """What stands between the braces: ``NAME``, ``NAME:-default``, ``NAME:?message`` or ``NAME:+other``."""
        match = _NAME.match(inside)
        if match is None or (match[2] is None and match.end() != len(inside)):
            raise ValueError(f"${{{inside}}} is not a variable; for a literal dollar write $$")
        name, operator, rest = match[1], match[2] or "", inside[match.end() :]
        given = self._environment.get(name)
        there = bool(given) if operator.startswith(":") else given is not None
        if operator.endswith("+"):
            return self._fill(rest, path, document) if there else ""
        if there and given is not None:
            return given
        if operator.endswith("?"):
            message = self._fill(rest, path, document) or "it has to be set"
            raise ValueError(f"the variable {name} is not set: {message}")
        return self._fill(rest, path, document) if operator else self._get(name, path, document)

    def _get(self, name: str, path: Path, document: Document | None) -> str:
        if name not in self._environment and document is not None:
            self.unset.append(self._problem(f"the variable {name} is not set; nothing was put in", path, document))
        return self._environment.get(name, "")

    def _problem(self, message: str, path: Path, document: Document) -> Problem:
        return Problem(message, ".".join(str(step) for step in path), self._file, document.line(path))


def _closing(text: str, start: int) -> int:
    """Where the brace that was opened before `start` is closed."""
    depth = 1
    for position in range(start, len(text)):
        if text[position] == "}":
            depth -= 1
        elif text.startswith("${", position):
            depth += 1
        if depth == 0:
            return position
        if depth > _DEEPEST:
            break
    raise ValueError("a brace is not closed, or too many are inside each other; for a literal dollar write $$")
