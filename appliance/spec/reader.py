"""From the text of a service file to the model: every problem at once, each with its line."""

import difflib
import re
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from appliance.errors import Problem, SpecInvalid
from appliance.model import container as parts
from appliance.model import service as model
from appliance.spec.schema import (
    LATER,
    ContainerText,
    DeployText,
    ProbeText,
    ServiceText,
    fields_at,
)
from appliance.spec.variables import substitute
from appliance.spec.yaml_text import Document, Path, read_yaml

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def read_service(text: str, file_name: str, variables_override: Mapping[str, str]) -> model.Service:
    """The one service in `text`. Raises SpecInvalid with all problems found; `file_name` only names the place.

    `variables_override` replaces values of the file's own variables; one that the file has not is a problem.
    """
    services = read_services(text, file_name, variables_override)
    if len(services) != 1:
        raise SpecInvalid([Problem(f"expected one service, found {len(services)}", file=file_name)])
    return services[0]


def read_services(text: str, file_name: str, variables_override: Mapping[str, str]) -> list[model.Service]:
    """All services in a file of one or more documents, separated by ``---``; raises SpecInvalid."""
    documents = read_yaml(text, file_name)
    if not documents:
        raise SpecInvalid([Problem("the file is empty; it should start with: service: NAME", file=file_name)])
    readings = [_Reading(document, file_name, variables_override) for document in documents]
    services = [reading.service() for reading in readings]
    problems = [problem for reading in readings for problem in reading.problems]
    if problems:
        raise SpecInvalid(problems)
    return [service for service in services if service is not None]


class _Reading:
    """One document on its way to the model, collecting what is wrong with it."""

    def __init__(self, document: Document, file: str, override: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._file = file
        self._override = override

    def service(self) -> model.Service | None:
        """None when there are problems."""
        value = self._document.value
        if not isinstance(value, dict):
            self._add((), "a service file is a mapping that starts with: service: NAME")
            return None
        variables = self._variables(value.get("variables"))
        filled = {
            key: part if key == "variables" else self._fill(part, (key,), variables) for key, part in value.items()
        }
        try:
            parsed = ServiceText.model_validate(filled)
        except ValidationError as error:
            for found in error.errors(include_url=False):
                self._explain(found)
            self.problems.sort(key=lambda problem: problem.line)
            return None
        deploys = {name: self._deploy(name, deploy) for name, deploy in parsed.deploys.items()}
        self._refuse_shared_ports(deploys)
        if self.problems:
            return None
        return model.Service(name=parsed.service, variables=variables, deploys=deploys)

    def _variables(self, value: object) -> dict[str, str]:
        """Values that are no texts are left to the schema, which says so."""
        own = value if isinstance(value, dict) else {}
        for name in own:
            if not _VARIABLE_NAME.fullmatch(name):
                self._add(("variables", name), f"{name!r} is not a name for a variable: use letters, digits, _ and -")
        for name in self._override:
            if name not in own:
                self._add(("variables",), f"there is no variable {name} to override{_suggestion(name, own)}")
        texts = {name: _as_text(item) for name, item in own.items() if isinstance(item, str | int)}
        return texts | dict(self._override)

    def _fill(self, value: object, path: Path, variables: Mapping[str, str]) -> object:
        if isinstance(value, str):
            text, unknown = substitute(value, variables)
            for name in unknown:
                literal = "; for a literal write $${" + name + "}"
                self._add(path, f"there is no variable {name}{_suggestion(name, variables) or literal}")
            return text
        if isinstance(value, dict):
            return {key: self._fill(item, (*path, key), variables) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item, (*path, number), variables) for number, item in enumerate(value)]
        return value

    def _explain(self, found: ErrorDetails) -> None:
        # pydantic marks a bad key of a mapping with an element of its own.
        path = tuple(step for step in found["loc"] if step != "[key]")
        kind, context = found["type"], found.get("ctx", {})
        if kind == "extra_forbidden":
            name = str(path[-1])
            if name in LATER:
                self._add(path, f"{name} is not supported by this release")
            else:
                known = fields_at(path[:-1])
                hint = _suggestion(name, known) or f" (known: {', '.join(known)})"
                self._add(path, f"there is no field {name}{hint}")
        elif kind == "value_error":
            self._add(path, str(context.get("error", found["msg"])))
        elif kind == "missing":
            self._add(path[:-1], f"the field {path[-1]} is missing")
        elif kind in ("model_type", "dict_type", "model_attributes_type"):
            self._add(path, "this must be a mapping (NAME: VALUE)")
        elif kind == "too_short":
            self._add(path, "at least one is needed")
        else:
            self._add(path, found["msg"][:1].lower() + found["msg"][1:])

    def _deploy(self, name: str, text: DeployText) -> model.Deploy:
        where: Path = ("deploys", name)
        containers = {
            each: self._container((*where, "containers", each), container, text)
            for each, container in text.containers.items()
        }
        self._refuse_clashes(where, containers)
        return model.Deploy(
            name=name,
            rank=text.rank,
            replicas=text.replicas,
            containers=containers,
            volumes={each: model.Volume(**volume.model_dump()) for each, volume in text.volumes.items()},
            placement=model.Placement(
                require={label: (value,) for label, value in text.placement.require.items()},
                spread=text.placement.spread,
            ),
            stop_grace=text.stop_grace,
        )

    def _container(self, where: Path, text: ContainerText, deploy: DeployText) -> parts.Container:
        for volume in text.volumes:
            if volume not in deploy.volumes:
                hint = _suggestion(volume, deploy.volumes) or "; list it under the deploy's volumes"
                self._add((*where, "volumes", volume), f"the deploy has no volume {volume}{hint}")
        ports = {each: parts.Port(**port.model_dump()) for each, port in text.ports.items()}
        health = parts.Health(
            live=self._probe((*where, "health", "live"), text.health.live, ports),
            ready=self._probe((*where, "health", "ready"), text.health.ready, ports),
        )
        return parts.Container(
            image=text.image,
            entrypoint=_tuple(text.entrypoint),
            command=_tuple(text.command),
            env=text.env,
            ports=ports,
            volumes=dict(text.volumes),
            health=health,
            resources=parts.Resources(**text.resources.model_dump()),
            user=text.user,
        )

    def _probe(self, where: Path, text: ProbeText | None, ports: Mapping[str, parts.Port]) -> parts.Probe | None:
        if text is None:
            return None
        asked = text.tcp if text.tcp is not None else text.port
        field = "tcp" if text.tcp is not None else "port"
        port = 0 if asked is None else self._port_number((*where, field), asked, ports)
        return parts.Probe(
            exec=_tuple(text.exec),
            http=text.http,
            tcp=port if text.tcp is not None else None,
            port=port,
            every=text.every,
            timeout=text.timeout,
            failures=text.failures,
            successes=text.successes,
            initial_delay=text.initial_delay,
        )

    def _port_number(self, where: Path, asked: str, ports: Mapping[str, parts.Port]) -> int:
        """0 after a problem."""
        if asked in ports:
            return ports[asked].port
        if asked.isdecimal() and 1 <= int(asked) <= 65535:
            return int(asked)
        self._add(where, f"the container has no port {asked}{_suggestion(asked, ports)}")
        return 0

    def _refuse_clashes(self, where: Path, containers: Mapping[str, parts.Container]) -> None:
        """The containers of a deploy share one address."""
        seen: dict[tuple[str, int], str] = {}
        for name, container in containers.items():
            for port_name, port in container.ports.items():
                other = seen.setdefault((port.protocol, port.port), f"{name}/{port_name}")
                if other != f"{name}/{port_name}":
                    path = (*where, "containers", name, "ports", port_name)
                    self._add(path, f"port {port.port}/{port.protocol} is already {other}'s; they share one address")

    def _refuse_shared_ports(self, deploys: Mapping[str, model.Deploy]) -> None:
        """A port of a node can be published once."""
        seen: dict[tuple[str, int], str] = {}
        for deploy in deploys.values():
            for name, container in deploy.containers.items():
                for port_name, port in container.ports.items():
                    if port.publish is None:
                        continue
                    owner = f"{deploy.name}/{name}/{port_name}"
                    other = seen.setdefault((port.protocol, port.publish), owner)
                    if other != owner:
                        path = ("deploys", deploy.name, "containers", name, "ports", port_name)
                        self._add(path, f"{other} publishes port {port.publish}/{port.protocol} already")

    def _add(self, path: Path, message: str) -> None:
        dotted = ".".join(str(step) for step in path)
        self.problems.append(Problem(message, dotted, self._file, self._document.line(path)))


def _tuple(words: list[str] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)


def _as_text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _suggestion(name: str, known: Mapping[str, object] | list[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""
