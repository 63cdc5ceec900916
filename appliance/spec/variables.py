"""The variables of a service: what they may be, and the values they have.

A value is a text in the end, whatever its type; the type says which texts are allowed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from appliance.spec import quantities
from appliance.spec.checks import SCALAR, Check, Part, Short, choice, text, truth, unless_mapping, whole_number
from appliance.spec.findings import Findings
from appliance.spec.quantities import shown
from appliance.spec.suggestion import suggestion
from appliance.spec.texts import Text

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_TYPES = ("text", "int", "bool", "size", "duration", "choice")
_MEASURES: Mapping[str, Callable[[object], float]] = {
    "int": whole_number,
    "size": quantities.size,
    "duration": quantities.duration,
}
"""What values are compared by, for the types that have an order. Raises ValueError."""
_STAND_IN = "1"
"""For a variable that has no value: passes in most places, so that the other problems are found as well."""


def _variable_name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a name for a variable: use letters, digits, _ and -")
    return value


class VariableText(Part):
    type: Annotated[Literal["text", "int", "bool", "size", "duration", "choice"], choice(*_TYPES)] = Field(
        default="text", description="What its values may be."
    )
    default: Text | None = Field(default=None, description="Its value; without one it must be given: --set NAME=VALUE.")
    min: Text | None = Field(default=None, description="The least value (int, size, duration).")
    max: Text | None = Field(default=None, description="The largest value (int, size, duration).")
    values: list[Text] = Field(default=[], description="The values of a choice.")
    describe: Text = Field(default="", description="What it is for.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == "choice" and not self.values:
            raise ValueError("a choice needs values: [A, B]")
        if self.type != "choice" and self.values:
            raise ValueError("only a variable of type choice has values")
        if self.type not in _MEASURES and (self.min is not None or self.max is not None):
            raise ValueError(f"a variable of type {self.type} has no min and max")
        measured = [self._measure(bound) for bound in (self.min, self.max) if bound is not None]
        if sorted(measured) != measured:
            raise ValueError(f"min ({self.min}) is above max ({self.max})")
        if self.default is not None:
            self.check(self.default)
        return self

    def check(self, value: str) -> None:
        """Raises ValueError when it cannot be this variable's value."""
        if self.type == "bool":
            truth(value)
        if self.type == "choice" and value not in self.values:
            raise ValueError(f"{shown(value)} is none of: {', '.join(self.values)}{suggestion(value, self.values)}")
        if self.type in _MEASURES:
            measure = self._measure(value)
            if self.min is not None and measure < self._measure(self.min):
                raise ValueError(f"{shown(value)} is below the least value, {self.min}")
            if self.max is not None and measure > self._measure(self.max):
                raise ValueError(f"{shown(value)} is above the largest value, {self.max}")

    def _measure(self, value: str) -> float:
        return _MEASURES[self.type](value)


VariableName = Annotated[str, Check(_variable_name, {"type": "string"})]
Variable = Annotated[VariableText, Short(unless_mapping("default"), SCALAR)]
_ONE = TypeAdapter[VariableText](Variable)


def values_of(findings: Findings, declared: object, given: Mapping[str, str]) -> dict[str, str]:
    """Name → value for every variable. What is wrong with a declaration itself is left to the schema to say."""
    own = declared if isinstance(declared, dict) else {}
    for name in given:
        if name not in own:
            findings.add(("variables",), f"there is no variable {shown(name)} to override{suggestion(name, own)}")
    return {name: _value(findings, name, item, given.get(name)) for name, item in own.items()}


def _value(findings: Findings, name: str, declared: object, given: str | None) -> str:
    try:
        variable = _ONE.validate_python(declared)
    except ValidationError:
        return _STAND_IN if given is None else given
    if given is None:
        if variable.default is None:
            findings.add(("variables", name), f"it has no value; give it: --set {name}=VALUE")
        return _STAND_IN if variable.default is None else variable.default
    try:
        variable.check(text(given))
    except ValueError as error:
        findings.add(("variables", name), f"the value that was given: {error}")
    return given
