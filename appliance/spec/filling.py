"""`${name}` in a service file: replaced by a variable of the service; `$$` is a literal dollar.

A text of `env` or `configs` may also name facts that only the node knows (``${instance.name}``). It then stays a
template (model/template.py), in which a dollar of a variable's value is doubled so that it keeps its meaning.
"""

import re
from collections.abc import Callable, Mapping

from appliance.model.template import FACTS, SECRET
from appliance.spec.findings import Findings
from appliance.spec.quantities import shown
from appliance.spec.suggestion import suggestion
from appliance.spec.yaml_text import LARGEST_TEXT, Path

_REFERENCE = re.compile(r"\$\$|\$\{([^}$]*)(\}?)")
"""A name ends at the next dollar at the latest, so that no text takes time that grows with the square of its length."""
_PLACES = (
    ("configs", "*", "text"),
    ("deploys", "*", "containers", "*", "env", "*"),
    ("jobs", "*", "container", "env", "*"),
)
"""Paths of the texts that may be templates."""


def put_in(text: str, value_of: Callable[[str], str], *, template: bool = False) -> str:
    """The text with each name replaced by its value.

    ``$${name}`` becomes ``${name}`` and ``$$(date)`` becomes ``$(date)``, for the container's own shell; a template
    keeps its ``$$``. A dollar before anything else is kept.
    """
    dollar = "$$" if template else "$"
    return _REFERENCE.sub(lambda match: dollar if match[1] is None else value_of(match[1]), text)


class Filling:
    """Puts the variables into one document, and remembers in `templates` which texts the node has to complete."""

    def __init__(self, findings: Findings, variables: Mapping[str, str], secrets: object) -> None:
        self.templates: set[Path] = set()
        self._findings = findings
        self._variables = variables
        self._secrets = [name for name in secrets if isinstance(name, str)] if isinstance(secrets, list) else []
        self._room = LARGEST_TEXT

    def fill(self, value: object, path: Path) -> object:
        """The same with its texts filled. What cannot be is a problem, and stays as it is."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, number)) for number, item in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> str:
        if "$" not in text:
            return text
        names = []
        complaints = {}
        for match in _REFERENCE.finditer(text):
            if match[1] is not None and (said := self._complaint(match, path)):
                complaints[match[0]] = said
            elif match[1] is not None:
                names.append(match[1])
        for said in complaints.values():
            self._findings.add(path, said)
        if complaints or not self._fits(names):
            return text
        facts = [name for name in names if name not in self._variables]
        if not facts:
            return put_in(text, self._variables.__getitem__)
        self.templates.add(path)
        return put_in(text, self._in_template, template=True)

    def _in_template(self, name: str) -> str:
        value = self._variables.get(name)
        return "${" + name + "}" if value is None else value.replace("$", "$$")

    def _complaint(self, reference: re.Match[str], path: Path) -> str:
        """Why the reference cannot stand here; empty when it can."""
        name = reference[1]
        literal = f"; for a literal write ${reference[0][:100]}"
        if not reference[2]:
            return f"the name after ${{ does not end with }}{literal}"
        if name in self._variables:
            return ""
        if name.startswith(SECRET) and (secret := name.removeprefix(SECRET)) not in self._secrets:
            hint = suggestion(secret, self._secrets) or "; list it under secrets"
            return f"the service has no secret {shown(secret)}{hint}"
        if name not in FACTS and not name.startswith(SECRET):
            hint = suggestion(name, [*self._variables, *FACTS]) or literal
            return f"there is no variable {shown(name)[1:-1]}{hint}"
        if not _may_be_template(path):
            return f"${{{name}}} can be used only in env and configs{literal}"
        return ""

    def _fits(self, names: list[str]) -> bool:
        """Whether there is room for the values; the document must not grow without bound."""
        before = self._room
        self._room -= sum(len(self._variables.get(name, "")) for name in names)
        if before >= 0 > self._room:
            self._findings.add((), f"with its variables put in, the file is larger than {LARGEST_TEXT // 1024} KiB")
        return self._room >= 0


def _may_be_template(path: Path) -> bool:
    return any(
        len(place) == len(path) and all(want in ("*", have) for want, have in zip(place, path, strict=True))
        for place in _PLACES
    )
