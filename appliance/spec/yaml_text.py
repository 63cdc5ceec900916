"""YAML as plain values that remember their lines; refuses what could exhaust memory or mean two things.

The values are built here from the parser's events: nothing of YAML that can do more than write down texts, numbers,
lists and mappings is ever carried out, and every scalar keeps the meaning that it has in YAML 1.2 (``NO`` is a text).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from appliance.errors import Problem, SpecInvalid
from appliance.spec.quantities import shown

LARGEST_TEXT = 384 * 1024
"""Bytes in UTF-8. The store keeps a service's text next to what was read from it, in one value of at most 1 MB."""
DEEPEST = 32
"""Levels of nesting."""
MOST_VALUES = 20_000
"""Texts, numbers, lists and mappings in one file, names of fields counted as well."""
_MOST_PROBLEMS = 100

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,29})")
_DECIMAL = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)|[-+]?\.(?:inf|Inf|INF)|\.nan"
)
_TWO_MEANINGS = re.compile(r"[-+]?(?:0[0-9]+|0[xob][0-9A-Fa-f_]+|[0-9]+_[0-9_]*)")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")

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
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_TEXT:
        raise SpecInvalid([Problem(f"the file is larger than {LARGEST_TEXT // 1024} KiB", file=file)])
    building = _Building(file)
    try:
        documents = list(building.documents(YAML(typ="safe", pure=True).parse(text)))
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise building.stopped(f"this is not YAML: the character U+{ord(text[error.position]):04X}", line) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        why = str(error.problem or error.context).partition("\n")[0]
        raise building.stopped(f"this is not YAML: {why}", line) from error
    except (YAMLError, ValueError, OverflowError) as error:
        raise building.stopped(f"this is not YAML: {str(error).partition(chr(10))[0]}", 0) from error
    if building.problems:
        raise SpecInvalid(building.problems)
    return [document for document in documents if document.value is not None]


class _Building:
    """Documents on their way from events to values; what can be left out without losing the thread is a problem."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._lines: dict[Path, int] = {}
        self._count = 0

    def documents(self, events: Iterator[Any]) -> Iterator[Document]:
        for event in events:
            if isinstance(event, DocumentStartEvent):
                first = next(events)
                self._lines = {(): first.start_mark.line + 1}
                yield Document(self._value(first, events, ()), self._lines)

    def stopped(self, message: str, line: int) -> SpecInvalid:
        """All that was found up to here, and why it cannot go on."""
        return SpecInvalid([*self.problems, Problem(message, file=self._file, line=line)])

    def _value(self, event: Any, events: Iterator[Any], path: Path) -> object:
        line = event.start_mark.line + 1
        self._count += 1
        if self._count > MOST_VALUES:
            raise self.stopped(f"the file has more than {MOST_VALUES} values", line)
        if isinstance(event, AliasEvent):
            self._add("YAML aliases (*name) are not allowed; use ${variables}", line)
            return None
        if event.tag is not None:
            self._add(f"YAML tags ({event.tag}) are not allowed; put a text in quotes", line)
        if isinstance(event, ScalarEvent):
            return self._scalar(event, line)
        if len(path) >= DEEPEST:
            raise self.stopped(f"nested deeper than {DEEPEST} levels", line)
        if isinstance(event, SequenceStartEvent):
            return self._list(events, path)
        assert isinstance(event, MappingStartEvent)
        return self._mapping(events, path)

    def _list(self, events: Iterator[Any], path: Path) -> list[object]:
        items: list[object] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            here = (*path, len(items))
            self._lines[here] = event.start_mark.line + 1
            items.append(self._value(event, events, here))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key, line = self._key(event, events, path), event.start_mark.line + 1
            if key in found:
                self._add(f"duplicate key {shown(key)}", line)
            here = (*path, key)
            self._lines[here] = line
            found[key] = self._value(next(events), events, here)
        return found

    def _key(self, event: Any, events: Iterator[Any], path: Path) -> str:
        """As it is written: the name of a field or of a thing is a text whatever it looks like."""
        value = self._value(event, events, (*path, ""))
        if isinstance(event, ScalarEvent) and event.value:
            return str(event.value)
        self._add("a key must be a text", event.start_mark.line + 1)
        return str(value)

    def _scalar(self, event: ScalarEvent, line: int) -> object:
        text = str(event.value)
        if _HALF_CHARACTER.search(text):
            self._add("a text holds half of a character (U+D800 to U+DFFF)", line)
        if event.style is not None:
            return text
        if text in _NULLS:
            return None
        if text in _TRUTHS:
            return _TRUTHS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if _TWO_MEANINGS.fullmatch(text):
            self._add(f"{shown(text)} is not the same number to every program; put it in quotes if it is a text", line)
        return text

    def _add(self, message: str, line: int) -> None:
        self.problems.append(Problem(message, file=self._file, line=line))
        if len(self.problems) >= _MOST_PROBLEMS:
            raise self.stopped("there are more problems like these", line)
