"""How a value of the service file is checked, and what an editor is told about it, in one annotation.

A check takes what the YAML says, after the variables were put in (so a number may come as a text), and raises
ValueError with a whole sentence.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from appliance.spec import quantities
from appliance.spec.quantities import shown
from appliance.spec.suggestion import suggestion

Json = dict[str, Any]
VARIABLE: Json = {"type": "string", "pattern": r"\$\{[^}]+\}"}
"""JSON Schema of a text that stands for another value once its variables are put in."""
SCALAR: Json = {"type": ["string", "integer", "boolean"]}

_NEVER = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")


@dataclass(frozen=True)
class Check:
    """An annotation: `read` makes the value, `schema` is the JSON Schema of what may stand in the file."""

    read: Callable[[object], object]
    schema: Json

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return dict(self.schema)


@dataclass(frozen=True)
class Short:
    """An annotation of a longer form: `lengthen` makes it of the short form, which is described by `schema`."""

    lengthen: Callable[[object], object]
    schema: Json

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.lengthen, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"anyOf": [dict(self.schema), handler(schema)]}


class Part(BaseModel):
    """A mapping of the file whose names are ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def unless_mapping(field: str) -> Callable[[object], object]:
    """For `Short`: what is no mapping is the value of this field."""
    return lambda value: value if isinstance(value, dict) else {field: value}


def listed(default: object) -> Callable[[object], object]:
    """For `Short`: a list stands for a mapping whose values are all the default; one of its own if it is callable."""

    def lengthen(value: object) -> object:
        if not isinstance(value, list):
            return value
        texts = [text(item) for item in value]
        _refuse_twice(texts)
        return {item: default(item) if callable(default) else default for item in texts}

    return lengthen


def text(value: object) -> str:
    """Numbers and truth values are written without quotes so often that refusing them would only annoy."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        raise ValueError(f"{value!r} is a number; write it in quotes, or 1.10 would become 1.1")
    if not isinstance(value, str | int):
        raise ValueError("this must be a text")
    if _NEVER.search(str(value)):
        raise ValueError("a text cannot hold the NUL character or half of a character")
    return str(value)


def whole_number(value: object) -> int:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{shown(value)} is not a whole number")
    return value


def truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(f"{shown(value)} is neither true nor false")


def within(number: float, least: float, most: float, unit: str = "") -> None:
    if not least <= number <= most:
        raise ValueError(f"{number:g} is out of range: {least:g} to {most:g}{unit}")


def whole(least: int, most: int) -> Check:
    """A whole number between the two."""

    def read(value: object) -> int:
        number = whole_number(value)
        within(number, least, most)
        return number

    return Check(read, {"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, VARIABLE]})


def seconds(least: float, most: float) -> Check:
    """A duration between the two."""

    def read(value: object) -> float:
        number = quantities.duration(value)
        within(number, least, most, " seconds")
        return number

    return Check(read, amount(r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)?$"))


def choice(*names: str) -> Check:
    """One of the names."""

    def read(value: object) -> str:
        name = text(value)
        if name not in names:
            raise ValueError(f"{shown(name)} is none of: {', '.join(names)}{suggestion(name, names)}")
        return name

    return Check(read, {"anyOf": [{"enum": list(names)}, VARIABLE]})


def unique(value: list[str]) -> list[str]:
    """After a list of texts: each at most once."""
    _refuse_twice(value)
    return value


def amount(pattern: str) -> Json:
    """JSON Schema of an amount: a number, a text like the pattern, or a variable."""
    return {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": pattern}, VARIABLE]}


def _refuse_twice(texts: list[str]) -> None:
    seen: set[str] = set()
    for each in texts:
        if each in seen:
            raise ValueError(f"{shown(each)} is listed twice")
        seen.add(each)
