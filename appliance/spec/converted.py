"""A service file made from somebody else's, and the writer that makes its text readable."""

import io
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString

from appliance.errors import Problem
from appliance.spec.yaml_text import needs_quotes

_WIDTH = 110
_OTHER_LINE_ENDS = frozenset("\x85\u2028\u2029")
"""YAML folds them as it does line feeds, wherever they are not escaped."""
_ONE_LINE = 76
"""Characters of a mapping or list that is written on one line."""


@dataclass(frozen=True)
class Converted:
    """`text`: the service file. `notes`: what was changed on the way, or means something slightly different here.
    `unsupported`: what is missing from `text`, so that the service would not be the one that the author meant."""

    text: str
    notes: tuple[Problem, ...] = ()
    unsupported: tuple[Problem, ...] = ()


class Ours(str):
    """A text in our own syntax, with ``${instance.name}`` and the like; every other text is written as a literal."""


def literal(text: str) -> Ours:
    """Our syntax for exactly this text."""
    return Ours(text.replace("$", "$$") if "$$" in text or "${" in text else text)


def label(name: str) -> str:
    """The nearest DNS label, "" if there is none."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-")


def file_label(path: str) -> str:
    """A config's name from a file's: ``/etc/app.conf`` → ``app.conf``."""
    return re.sub(r"[^a-z0-9.-]+", "-", posixpath.basename(path).lower()).strip("-.") or "file"


def compact(fields: Mapping[str, object]) -> dict[str, object]:
    """Without the fields that say nothing."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", {}, [])}


class Configs:
    """The configs of the service that is made."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, object]] = {}

    def add(self, name: str, path: str, text: str, mode: str, to: str) -> None:
        """The same file for one more deploy or job is not repeated; another one of the same name gets a new name."""
        config = {"path": path, "text": text, **({"mode": mode} if mode else {})}
        key, number = name, 1
        while key in self.found:
            owners = self.found[key].pop("to")
            same = self.found[key] == config
            self.found[key]["to"] = [*owners, to] if same and isinstance(owners, list) else owners
            if same:
                return
            number += 1
            key = f"{name}-{number}"
        self.found[key] = {**config, "to": [to]}


def write_service(service: Mapping[str, object]) -> str:
    """The service file as people write it: short parts on one line, an empty line before each large part."""
    return "\n".join(_dump({name: value}) for name, value in service.items())


def _dump(value: object) -> str:
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(_styled(value, top=True), out)
    return out.getvalue()


def _styled(value: object, *, top: bool = False) -> object:
    if isinstance(value, Mapping):
        mapping = CommentedMap({str(key): _styled(item) for key, item in value.items()})
        if not top and _fits_one_line(value):
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list | tuple):
        sequence = CommentedSeq([_styled(item) for item in value])
        if _fits_one_line(value):
            sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, str):
        return _text(value if isinstance(value, Ours) else literal(value))
    return value


def _text(text: str) -> object:
    if not _OTHER_LINE_ENDS.isdisjoint(text):
        return DoubleQuotedScalarString(text)
    if "\n" in text.strip("\n"):
        return LiteralScalarString(text)
    # A colon in front can be read between spaces, but not inside brackets.
    if needs_quotes(text) or text.startswith(":"):
        return SingleQuotedScalarString(text)
    return str(text)


def _fits_one_line(value: object) -> bool:
    return _levels(value) <= 2 and _length(value) <= _ONE_LINE


def _levels(value: object) -> int:
    """Collections inside each other; many where a text has several lines."""
    if isinstance(value, Mapping):
        return 1 + max((_levels(item) for item in value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max((_levels(item) for item in value), default=0)
    return 99 if isinstance(value, str) and "\n" in value else 0


def _length(value: object) -> int:
    if isinstance(value, Mapping):
        return sum(len(str(key)) + 4 + _length(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(2 + _length(item) for item in value)
    return len(str(value))
