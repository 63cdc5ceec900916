"""Reads a service file: YAML → checked document → `model.Service`. Every mistake is named at once, with its line."""

import difflib
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from appliance.errors import Problem, SpecInvalid
from appliance.model import service as model
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.spec import document as doc
from appliance.spec.variables import substitute

LARGEST_FILE = 1_000_000
"""Characters of a service file; the store takes no larger value."""
DEEPEST = 32
_STANDARD_TAGS = {"map", "seq", "str", "int", "float", "bool", "null", "timestamp"}
_Location = tuple[str | int, ...]


def read_service(text: str, file: str = "", variables: Mapping[str, str] | None = None) -> model.Service:
    """The service that `text` describes; `variables` win over the file's own. `file` is for messages only.

    Raises SpecInvalid with every problem found. Bounded in time and memory for any text.
    """
    tree = _parse(text, file)
    problems: list[Problem] = []
    values = _variables(tree, variables or {})
    filled = {
        key: value if key == "variables" else _fill(value, values, (key,), tree, file, problems)
        for key, value in tree.items()
    }
    try:
        service = doc.ServiceDocument.model_validate(filled)
    except ValidationError as error:
        problems += [_problem(detail, tree, file) for detail in error.errors(include_url=False)]
        raise SpecInvalid(_sorted(problems)) from None
    if service.service == SYSTEM_SERVICE:
        problems.append(Problem("this name belongs to the sidecars", "service", file, _line(tree, ("service",))))
    problems += [
        Problem("the service has no such variable", f"--set {name}", file)
        for name in variables or {}
        if name not in service.variables
    ]
    if problems:
        raise SpecInvalid(_sorted(problems))
    return _service(service, values)


def _parse(text: str, file: str) -> CommentedMap:
    if len(text) > LARGEST_FILE:
        raise SpecInvalid([Problem(f"the file is longer than {LARGEST_FILE} characters", file=file)])
    try:
        # The first pass builds nodes only: what is refused there never becomes a value, however often it is repeated.
        root = YAML(typ="rt").compose(text.removeprefix("\ufeff"))
        _refuse_tricks(root, file)
        tree = YAML(typ="rt").load(text.removeprefix("\ufeff"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SpecInvalid([Problem(f"not readable as YAML: {error.problem}", file=file, line=line)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        said = str(error).strip().splitlines()[:1] or ["nested too deeply"]
        raise SpecInvalid([Problem(f"not readable as YAML: {said[0]}", file=file)]) from None
    if not isinstance(tree, CommentedMap):
        raise SpecInvalid([Problem("a service file is a mapping that starts with `service: NAME`", file=file, line=1)])
    return tree


def _refuse_tricks(root: Node | None, file: str) -> None:
    """Anchors repeated by aliases, tags and deep nesting have no use here, and bombs are made of them."""
    seen: set[int] = set()
    waiting = [(root, 1)] if root is not None else []
    while waiting:
        node, depth = waiting.pop()
        line = node.start_mark.line + 1 if node.start_mark else 0
        if id(node) in seen:
            raise SpecInvalid([Problem("aliases (*name) are not supported; write it out", file=file, line=line)])
        seen.add(id(node))
        if depth > DEEPEST:
            raise SpecInvalid([Problem(f"nested deeper than {DEEPEST} levels", file=file, line=line)])
        if node.tag is not None and str(node.tag).removeprefix("tag:yaml.org,2002:") not in _STANDARD_TAGS:
            raise SpecInvalid([Problem(f"the tag {node.tag} is not supported", file=file, line=line)])
        if isinstance(node, MappingNode):
            waiting += [(part, depth + 1) for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            waiting += [(part, depth + 1) for part in node.value]


def _variables(tree: CommentedMap, given: Mapping[str, str]) -> dict[str, str]:
    own = tree.get("variables")
    found = {str(key): str(value) for key, value in own.items()} if isinstance(own, CommentedMap) else {}
    return found | dict(given)


def _fill(
    value: Any, variables: Mapping[str, str], at: _Location, tree: CommentedMap, file: str, problems: list[Problem]
) -> Any:
    if isinstance(value, CommentedMap):
        return {key: _fill(inner, variables, (*at, key), tree, file, problems) for key, inner in value.items()}
    if isinstance(value, CommentedSeq):
        return [_fill(inner, variables, (*at, n), tree, file, problems) for n, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    text, unknown = substitute(value, variables)
    known = ", ".join(sorted(variables)) or "none"
    problems += [
        Problem(f"there is no variable {name!r}; the service has: {known}", _path(at), file, _line(tree, at))
        for name in unknown
    ]
    return text


def _problem(detail: Any, tree: CommentedMap, file: str) -> Problem:
    location = _known_part(tree, detail["loc"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = _unknown_field(str(location[-1]), location)
    elif detail["type"] == "missing":
        message = "this field is needed"
        location = (*location, str(detail["loc"][-1]))
    elif detail["type"] == "string_pattern_mismatch" and detail["ctx"]["pattern"] == doc._NAME:
        message = "a name is lower-case letters, digits and '-', starts with a letter and has at most 40 characters"
    return Problem(message, _path(location), file, _line(tree, location))


def _known_part(tree: Any, location: _Location) -> _Location:
    """The part of pydantic's location that is in the file: it adds the names of union members and key checks."""
    found: list[str | int] = []
    for step in location:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            continue
        found.append(step)
    return tuple(found)


def _unknown_field(name: str, location: _Location) -> str:
    fields = _fields_at(doc.ServiceDocument, location[:-1])
    close = difflib.get_close_matches(name, fields, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(fields)}"
    return f"this release has no field {name!r} here; {hint}"


def _fields_at(kind: type[BaseModel], location: _Location) -> list[str]:
    """Names of the fields that may stand at a place of the document."""
    models: list[type[BaseModel]] = [kind]
    for step in location:
        inner = [_models_in(m.model_fields[step].annotation) for m in models if step in m.model_fields]
        # A step that is no field is a key of a mapping, whose model was found with the mapping itself.
        models = [found for group in inner for found in group] or models
    return [name for found in models for name in found.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _line(tree: Any, location: _Location) -> int:
    """Line of the deepest part of the location that is in the file; 0 when nothing is."""
    line = 0
    for step in location:
        try:
            line = (tree.lc.key(step) if isinstance(tree, CommentedMap) else tree.lc.item(step))[0] + 1
            tree = tree[step]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def _path(location: _Location) -> str:
    return ".".join(str(step) for step in location)


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.path))


def _service(found: doc.ServiceDocument, variables: dict[str, str]) -> model.Service:
    deploys = {name: _deploy(name, deploy) for name, deploy in found.deploys.items()}
    return model.Service(name=found.service, variables=variables, deploys=deploys)


def _deploy(name: str, found: doc.DeployDocument) -> model.Deploy:
    return model.Deploy(
        name=name,
        rank=found.rank,
        replicas=found.replicas,
        containers={key: _container(container) for key, container in found.containers.items()},
        volumes={
            key: model.Volume(size=int(volume.size), medium=volume.medium, keep=volume.keep)
            for key, volume in found.volumes.items()
        },
        placement=model.Placement(require=dict(found.placement.require), spread=found.placement.spread),
        stop_grace=float(found.stop_grace),
    )


def _container(found: doc.ContainerDocument) -> model.Container:
    ports = {name: _port(port) for name, port in found.ports.items()}
    return model.Container(
        image=found.image,
        entrypoint=tuple(found.entrypoint) if found.entrypoint is not None else None,
        command=tuple(found.command) if found.command is not None else None,
        env=dict(found.env),
        ports=ports,
        volumes=dict(found.volumes),
        health=model.Health(live=_probe(found.health.live, ports), ready=_probe(found.health.ready, ports)),
        resources=model.Resources(cpu=int(found.resources.cpu), memory=int(found.resources.memory)),
        user=found.user,
    )


def _port(found: int | doc.PortDocument) -> model.Port:
    if isinstance(found, int):
        return model.Port(port=found)
    return model.Port(port=found.port, protocol=found.protocol, publish=found.publish)


def _probe(found: doc.ProbeDocument | None, ports: dict[str, model.Port]) -> model.Probe | None:
    if found is None:
        return None
    asked = found.port if found.tcp is None else found.tcp
    port = ports[asked].port if isinstance(asked, str) else asked or 0
    return model.Probe(
        exec=tuple(found.exec) if found.exec is not None else None,
        http=found.http,
        tcp=port if found.tcp is not None else None,
        port=port,
        every=float(found.every),
        timeout=float(found.timeout),
        failures=found.failures,
        successes=found.successes,
        initial_delay=float(found.initial_delay),
    )
