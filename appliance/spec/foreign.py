"""Somebody else's file on its way to ours. What nobody takes from it is named, so that nothing is dropped silently."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.errors import Problem
from appliance.spec.yaml_text import Document, Path


@dataclass
class Findings:
    """What a conversion has to say. `parts` are all mappings that were looked into."""

    notes: list[Problem] = field(default_factory=list)
    unsupported: list[Problem] = field(default_factory=list)
    parts: list["Part"] = field(default_factory=list)

    def name_leftovers(self) -> None:
        """Every key that was not taken becomes a problem. Call it once, at the end."""
        for part in self.parts:
            part.name_leftovers()

    def in_order(self) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
        """Notes and problems as they stand in the files, each once."""
        notes, unsupported = (dict.fromkeys(sorted(each, key=_place)) for each in (self.notes, self.unsupported))
        return tuple(notes), tuple(unsupported)


def _place(problem: Problem) -> tuple[str, int]:
    return problem.file, problem.line


@dataclass(frozen=True)
class Source:
    """Where parts come from. `title` stands before their paths, such as ``Deployment/web``."""

    document: Document
    file: str
    findings: Findings
    title: str = ""
    inert: str = ""
    """Keys with this prefix have no meaning in the format, whatever they hold; "" : there are none."""

    def problem(self, path: Path, message: str) -> Problem:
        dotted = ".".join(str(step) for step in path)
        place = f"{self.title}: {dotted}".strip(": ") if self.title else dotted
        return Problem(message, place, self.file, self.document.line(path))


class Part:
    """A mapping of the file. Every key has to be taken by one of the methods below, or is named in the end.

    A value of the wrong kind is named too, and then is as if it was not there. A null is not there.
    """

    def __init__(self, value: object, path: Path, source: Source, advice: Mapping[str, str] | None = None) -> None:
        """`advice`: for keys that nobody takes, what to do instead."""
        self.path = path
        self.source = source
        self._advice = advice or {}
        self._taken: set[str] = set()
        self._inside: dict[tuple[str | int, ...], Part] = {}
        self._value: dict[str, object] = value if isinstance(value, dict) else {}
        source.findings.parts.append(self)
        if value is not None and not isinstance(value, dict):
            self.refuse("this must be a mapping")

    @property
    def name(self) -> str:
        return str(self.path[-1]) if self.path else ""

    def __contains__(self, key: str) -> bool:
        return self._value.get(key) is not None

    def __bool__(self) -> bool:
        return bool(self._value)

    def fields(self) -> list[str]:
        """All keys, in order."""
        return list(self._value)

    def note(self, message: str, *below: str | int) -> None:
        """Say something of this part, or of what is `below` it."""
        self.source.findings.notes.append(self.source.problem((*self.path, *below), message))

    def refuse(self, message: str, *below: str | int) -> None:
        self.source.findings.unsupported.append(self.source.problem((*self.path, *below), message))

    def advise(self, advice: Mapping[str, str]) -> None:
        """What to do instead of keys that nobody takes."""
        self._advice = {**self._advice, **advice}

    def skip(self, *keys: str) -> None:
        """Take keys that mean nothing here, whatever they hold."""
        self._taken.update(keys)

    def take(self, key: str) -> object:
        """The value as it is; the caller answers for everything in it."""
        self._taken.add(key)
        return self._value.get(key)

    def text(self, key: str, default: str = "") -> str:
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, dict | list):
            self.refuse("this must be a text", key)
            return default
        return as_text(value)

    def whole(self, key: str) -> int | None:
        text = self.text(key)
        if text and not re.fullmatch(r"-?\d{1,18}", text):
            self.refuse(f"{text!r} is not a whole number", key)
            return None
        return int(text) if text else None

    def flag(self, key: str) -> bool | None:
        text = self.text(key).lower()
        if text not in ("", "true", "false"):
            self.refuse(f"{text!r} is neither true nor false", key)
        return text == "true" if text in ("true", "false") else None

    def part(self, key: str, advice: Mapping[str, str] | None = None) -> "Part":
        """The mapping at `key`, an empty one if there is none; the same one each time."""
        return self._part(self.take(key), advice, key)

    def named(self, key: str, advice: Mapping[str, str] | None = None) -> dict[str, "Part"]:
        """A mapping of names that its author chose → mapping."""
        names = self.part(key)
        return {name: names.part(name, advice) for name in names.fields()}

    def parts(self, key: str, advice: Mapping[str, str] | None = None) -> list["Part"]:
        """A list of mappings."""
        return [self._part(value, advice, key, number) for number, value in enumerate(self._list(key))]

    def entries(self, key: str, advice: Mapping[str, str] | None = None) -> list[tuple[int, "str | Part"]]:
        """A list of texts and mappings, each with its place in the list. A single text is a list of one."""
        value = self._value.get(key)
        if isinstance(value, str):
            return [(0, self.text(key))]
        return [
            (number, self._part(item, advice, key, number) if isinstance(item, dict | list) else as_text(item))
            for number, item in enumerate(self._list(key))
        ]

    def texts(self, key: str) -> list[str]:
        """A list of texts; a single text is a list of one."""
        found = []
        for number, entry in self.entries(key):
            if isinstance(entry, Part):
                self.refuse("this must be a text", key, number)
            else:
                found.append(entry)
        return found

    def pairs(self, key: str) -> dict[str, str | None]:
        """A mapping of texts, or a list of ``NAME=TEXT``; None where there is only a name."""
        if isinstance(self._value.get(key), list):
            split = [text.partition("=") for text in self.texts(key)]
            return {name: value if equals else None for name, equals, value in split}
        names = self.part(key)
        texts = {name: names.text(name) for name in names.fields()}
        return {name: text if name in names else None for name, text in texts.items()}

    def place(self, key: str, name: str) -> Path:
        """Where the pair of this name stands, below this part; see `pairs`."""
        value = self._value.get(key)
        texts = [str(text) for text in value] if isinstance(value, list) else []
        found = next((number for number, text in enumerate(texts) if text.partition("=")[0] == name), None)
        return (key, name) if found is None else (key, found)

    def ignore(self, why: str, *keys: str) -> None:
        """Take keys that change nothing here, and note those that are there."""
        for key in keys:
            if self.take(key) is not None:
                self.note(why, key)

    def name_leftovers(self) -> None:
        for key in self._value:
            if key in self._taken or (self.source.inert and key.startswith(self.source.inert)):
                continue
            advice = self._advice.get(key)
            self.refuse(f"{key} is not supported" + (f": {advice}" if advice else ""), key)

    def _part(self, value: object, advice: Mapping[str, str] | None, *below: str | int) -> "Part":
        if below not in self._inside:
            self._inside[below] = Part(value, (*self.path, *below), self.source)
        self._inside[below].advise(advice or {})
        return self._inside[below]

    def _list(self, key: str) -> list[object]:
        value = self.take(key)
        if value is None or isinstance(value, list):
            return value or []
        self.refuse("this must be a list", key)
        return []


def as_text(value: object) -> str:
    """A scalar as the author wrote it, as far as YAML kept it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
