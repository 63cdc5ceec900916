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


def read_yaml(text: str, file: str, *, foreign: bool = False) -> list[Document]:
    """The documents of `text` that are not empty. Raises SpecInvalid.

    `foreign`: for somebody else's format, ``*name`` and ``<<: *name`` are put in instead of refused (MOST_VALUES then
    counts what they stand for), and numbers that are not the same to every program stay texts.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_TEXT:
        raise SpecInvalid([Problem(f"the file is larger than {LARGEST_TEXT // 1024} KiB", file=file)])
    building = _Building(file, foreign)
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


def needs_quotes(text: str) -> bool:
    """Whether a text must be in quotes to be read as itself, where ruamel.yaml's writer would leave them out.

    The two disagree on some numbers, and its reader takes a question mark inside of braces for the sign of a key.
    """
    scalars = (_INTEGER, _DECIMAL, _TWO_MEANINGS)
    return text.startswith("?") or text in _NULLS or text in _TRUTHS or any(one.fullmatch(text) for one in scalars)


class _Building:
    """Documents on their way from events to values; what can be left out without losing the thread is a problem."""

    def __init__(self, file: str, foreign: bool) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._foreign = foreign
        self._anchors: dict[str, tuple[object, int]] = {}
        """Name → the value, and how many values it is made of."""
        self._lines: dict[Path, int] = {}
        self._count = 0

    def documents(self, events: Iterator[Any]) -> Iterator[Document]:
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if event.version or event.tags:
                    self._add("YAML directives (%) are not allowed", event.start_mark.line + 1)
                first = next(events)
                self._lines = {(): first.start_mark.line + 1}
                self._anchors = {}
                yield Document(self._value(first, events, ()), self._lines)

    def stopped(self, message: str, line: int) -> SpecInvalid:
        """All that was found up to here, and why it cannot go on."""
        return SpecInvalid([*self.problems, Problem(message, file=self._file, line=line)])

    def _value(self, event: Any, events: Iterator[Any], path: Path) -> object:
        line = event.start_mark.line + 1
        before = self._count
        self._add_values(1, line)
        if isinstance(event, AliasEvent):
            return self._alias(event, path, line)
        if event.tag is not None:
            self._add(f"YAML tags ({event.tag}) are not allowed; put a text in quotes", line)
        value = self._scalar(event, line) if isinstance(event, ScalarEvent) else self._part(event, events, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._count - before
        return value

    def _part(self, event: Any, events: Iterator[Any], path: Path) -> object:
        self._refuse_depth(len(path) + 1, event.start_mark.line + 1)
        if isinstance(event, SequenceStartEvent):
            return self._list(events, path)
        assert isinstance(event, MappingStartEvent)
        return self._mapping(events, path)

    def _alias(self, event: AliasEvent, path: Path, line: int) -> object:
        if not self._foreign:
            self._add("YAML aliases (*name) are not allowed; use ${variables}", line)
            return None
        if event.anchor not in self._anchors:
            self._add(f"nothing before this is called &{event.anchor}", line)
            return None
        value, count = self._anchors[event.anchor]
        self._add_values(count, line)
        self._refuse_depth(len(path) + _levels(value), line)
        return value

    def _add_values(self, count: int, line: int) -> None:
        self._count += count
        if self._count > MOST_VALUES:
            raise self.stopped(f"the file has more than {MOST_VALUES} values", line)

    def _refuse_depth(self, levels: int, line: int) -> None:
        if levels > DEEPEST:
            raise self.stopped(f"nested deeper than {DEEPEST} levels", line)

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
        merged: dict[str, object] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            if self._foreign and isinstance(event, ScalarEvent) and event.value == "<<" and event.style is None:
                merged = {**self._merge(next(events), events, path), **merged}
                continue
            key, line = self._key(event, events, path), event.start_mark.line + 1
            if key in found:
                self._add(f"duplicate key {shown(key)}", line)
            here = (*path, key)
            self._lines[here] = line
            found[key] = self._value(next(events), events, here)
        return {**merged, **found}

    def _merge(self, event: Any, events: Iterator[Any], path: Path) -> dict[str, object]:
        """What ``<<`` stands for: a mapping, or a list of mappings of which the first wins."""
        value = self._value(event, events, (*path, "<<"))
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            self._add("<< merges mappings only", event.start_mark.line + 1)
            return {}
        return {key: item for part in reversed(parts) for key, item in part.items()}

    def _key(self, event: Any, events: Iterator[Any], path: Path) -> str:
        """As it is written: the name of a field or of a thing is a text whatever it looks like."""
        value = self._value(event, events, (*path, ""))
        if not isinstance(event, ScalarEvent) or not event.value:
            self._add("a key must be a text", event.start_mark.line + 1)
            return str(value)
        if event.value == "<<" and event.style is None:
            self._add("YAML merges (<<) are not allowed", event.start_mark.line + 1)
        return str(event.value)

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
        if _TWO_MEANINGS.fullmatch(text) and not self._foreign:
            self._add(f"{shown(text)} is not the same number to every program; put it in quotes if it is a text", line)
        return text

    def _add(self, message: str, line: int) -> None:
        self.problems.append(Problem(message, file=self._file, line=line))
        if len(self.problems) >= _MOST_PROBLEMS:
            raise self.stopped("there are more problems like these", line)


def _levels(value: object) -> int:
    """Lists and mappings inside each other."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(_levels, parts), default=0)
