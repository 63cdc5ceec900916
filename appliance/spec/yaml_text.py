"""YAML as plain values that remember their lines; refuses what could exhaust memory or mean two things."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from appliance.errors import Problem, SpecInvalid

LARGEST_TEXT = 1024 * 1024
"""Characters."""
DEEPEST = 32
"""Levels of nesting."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """`lines`: where each key or item stands, counted from 1; the empty path is the document itself."""

    value: object
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest part above it that is in the text."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def read_yaml(text: str, file: str) -> list[Document]:
    """The documents of `text` that are not empty. Raises SpecInvalid."""
    if len(text) > LARGEST_TEXT:
        raise SpecInvalid([Problem("the file is larger than 1 MiB", file=file)])
    try:
        _refuse_traps(text, file)
        loaded = list(YAML(typ="rt", pure=True).load_all(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        why = str(error.problem or error.context).partition("\n")[0]
        raise SpecInvalid([Problem(f"this is not YAML: {why}", file=file, line=line)]) from error
    except (YAMLError, ValueError) as error:
        raise SpecInvalid([Problem(f"this is not YAML: {str(error).partition(chr(10))[0]}", file=file)]) from error
    return [_document(value) for value in loaded if value is not None]


def _refuse_traps(text: str, file: str) -> None:
    """Looks at the stream of events, before anything is built from it."""
    depth = 0
    for event in YAML(typ="rt", pure=True).parse(text):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, AliasEvent):
            raise SpecInvalid([Problem("YAML aliases (*name) are not allowed; use ${variables}", file=file, line=line)])
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise SpecInvalid([Problem(f"nested deeper than {DEEPEST} levels", file=file, line=line)])


def _document(value: object) -> Document:
    lines: dict[Path, int] = {(): 1}
    mark = getattr(value, "lc", None)
    if mark is not None and mark.line is not None:
        lines[()] = mark.line + 1
    return Document(_plain(value, (), lines), lines)


def _plain(value: object, path: Path, lines: dict[Path, int]) -> object:
    if isinstance(value, dict):
        plain = {}
        for key, item in value.items():
            here = (*path, str(key))
            _note(value, key, here, lines)
            plain[str(key)] = _plain(item, here, lines)
        return plain
    if isinstance(value, list):
        items = []
        for number, item in enumerate(value):
            here = (*path, number)
            _note(value, number, here, lines)
            items.append(_plain(item, here, lines))
        return items
    if isinstance(value, bool) or value is None:
        return value
    # ruamel keeps how a number was written in types of its own.
    return next((kind(value) for kind in (int, float, str) if isinstance(value, kind)), str(value))


def _note(container: object, key: object, path: Path, lines: dict[Path, int]) -> None:
    positions = getattr(getattr(container, "lc", None), "data", None) or {}
    if key in positions:
        lines[path] = positions[key][0] + 1
