"""Changes to the text of a service file that leave its comments and its order alone.

`appliance patch` works on the text that a revision was read from, so that the next person finds it as it was written.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionStartEvent, NodeEvent
from ruamel.yaml.scalarstring import LiteralScalarString, SingleQuotedScalarString

from appliance.errors import Problem, SpecInvalid
from appliance.spec.yaml_text import needs_quotes, read_yaml

_STEP = re.compile(r'"([^"]*)"|([^."]+)')


def set_values(source: str, file: str, values: Mapping[str, str]) -> str:
    """The text of one service with the values at their dotted paths (``deploys.web.replicas``) replaced or added.

    A number in a path counts the items of a list from 0; the number after the last item adds one. A name that holds
    points is found when it exists, and can be put in double quotes. Mappings on the way that do not exist are made. A
    value that is a scalar or a flow collection of YAML is taken as such, every other one is a text. Raises SpecInvalid
    for a path that leads through something else, and for what `read_yaml` refuses.
    """
    if len(read_yaml(source, file)) != 1:
        raise SpecInvalid([Problem("only a file with one service can be changed", file=file)])
    editor = _editor(source)
    try:
        tree = editor.load(source)
    except (YAMLError, ValueError) as error:
        raise SpecInvalid([Problem(f"this is not YAML: {str(error).partition(chr(10))[0]}", file=file)]) from error
    problems = [
        Problem(said, path, file) for path, text in values.items() if (said := _set(tree, path, _value(editor, text)))
    ]
    if problems:
        raise SpecInvalid(problems)
    out = io.StringIO()
    editor.dump(tree, out)
    read_yaml(out.getvalue(), file)
    return out.getvalue()


class _Constructor(RoundTripConstructor):
    """As YAML 1.2 has it: a date is a text."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)


def _editor(source: str) -> YAML:
    """Writes as `source` is written: quotes as they are, no line broken anew, lists indented as its first one is."""
    editor = YAML(typ="rt", pure=True)
    editor.Constructor = _Constructor
    editor.preserve_quotes = True
    editor.brace_single_entry_mapping_in_flow_sequence = True
    editor.width = len(source) + 1000
    offset = _list_offset(source)
    editor.indent(mapping=2, sequence=offset + 2, offset=offset)
    return editor


def _list_offset(source: str) -> int:
    """Columns from the key of the first list to the dashes of its items; 2 where there is no list."""
    key = ""
    for line in source.splitlines():
        text = line.lstrip(" ")
        if text.startswith("- ") and key.partition(" #")[0].rstrip().endswith(":"):
            return min(8, max(0, (len(line) - len(text)) - (len(key) - len(key.lstrip(" ")))))
        if text and not text.startswith("#"):
            key = line
    return 2


def _value(editor: YAML, text: str) -> Any:
    if "\n" in text:
        return LiteralScalarString(text)
    value = _loaded(editor, text)
    # A scalar in quotes has a type of its own.
    return SingleQuotedScalarString(value) if type(value) is str and needs_quotes(value) else value


def _loaded(editor: YAML, text: str) -> Any:
    try:
        read_yaml(text, "")
        first = next((event for event in editor.parse(text) if isinstance(event, NodeEvent)), None)
        if first is None or (isinstance(first, CollectionStartEvent) and not first.flow_style):
            return text
        return editor.load(text)
    except (SpecInvalid, YAMLError):
        return text


def _set(tree: Any, path: str, value: Any) -> str:
    """Changes the tree; returns why it cannot be done, or nothing."""
    steps = [quoted or plain for quoted, plain in _STEP.findall(path)]
    if not steps:
        return "this is no path; write it like deploys.web.replicas"
    part: Any = tree
    done = ""
    while True:
        if not isinstance(part, list | dict):
            return f"{done} is not a mapping or a list, so it cannot hold {'.'.join(steps)}"
        key = _key(part, steps)
        if isinstance(key, str) and isinstance(part, list):
            return f"{done} is a list with {len(part)} items, counted from 0; {key} is none of them"
        done = f"{done}.{key}" if done else str(key)
        if not steps:
            _put(part, key, value)
            return ""
        if _is_absent(part, key):
            _put(part, key, CommentedMap())
        part = part[key]


def _key(part: Any, steps: list[str]) -> Any:
    """Takes the steps that name one thing in `part`: as many as make the longest name that is there, else one."""
    if isinstance(part, list):
        step = steps.pop(0)
        return int(step) if step.isascii() and step.isdecimal() and len(step) < 6 and int(step) <= len(part) else step
    count = next((n for n in range(len(steps), 0, -1) if ".".join(steps[:n]) in part), 1)
    name = ".".join(steps[:count])
    del steps[:count]
    return name


def _is_absent(part: Any, key: Any) -> bool:
    exists = key != len(part) if isinstance(part, list) else key in part
    return not exists or part[key] is None


def _put(part: Any, key: Any, value: Any) -> None:
    if isinstance(part, list) and key == len(part):
        part.append(value)
    else:
        part[key] = value
