"""From the text of a service file to the model: every problem at once, each with its line."""

from collections.abc import Mapping

import msgspec
from pydantic import ValidationError

from appliance.errors import Problem, SpecInvalid
from appliance.model import service as model
from appliance.spec.containers import Shared
from appliance.spec.deploys import read_deploy
from appliance.spec.entries import read_entries
from appliance.spec.explanation import explain
from appliance.spec.filling import Filling
from appliance.spec.findings import Findings
from appliance.spec.jobs import read_job
from appliance.spec.names import refuse_unknown_names
from appliance.spec.schema import ServiceText
from appliance.spec.variables import values_of
from appliance.spec.yaml_text import Document, read_yaml

LARGEST_SPEC = 512 * 1024
"""Bytes of what was read, as it is stored: short words in a file can amount to much more."""


def read_service(text: str, file_name: str, variables_override: Mapping[str, str]) -> model.Service:
    """The one service in `text`. Raises SpecInvalid with all problems found; `file_name` only names the place.

    `variables_override` gives values to the file's own variables; one that the file has not is a problem.
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
    problems: list[Problem] = []
    services: list[model.Service] = []
    for document in documents:
        findings = Findings(document, file_name)
        service = _read(findings, document, variables_override)
        problems += findings.problems
        if service is not None:
            services.append(service)
    if problems:
        raise SpecInvalid(problems)
    return services


def _read(findings: Findings, document: Document, given: Mapping[str, str]) -> model.Service | None:
    """None when there are problems."""
    value = document.value
    if not isinstance(value, dict):
        findings.add((), "a service file is a mapping that starts with: service: NAME")
        return None
    variables = values_of(findings, value.get("variables"), given)
    filling = Filling(findings, variables, value.get("secrets"))
    filled = {key: part if key == "variables" else filling.fill(part, (key,)) for key, part in value.items()}
    try:
        text = ServiceText.model_validate(filled)
    except ValidationError as error:
        explain(findings, error)
        return None
    service = _service(findings, text, variables, Shared(text.configs, text.secrets, filling.templates))
    if not findings.problems and len(msgspec.json.encode(service)) > LARGEST_SPEC:
        findings.add((), f"the service would take more than {LARGEST_SPEC // 1024} KiB of the store; divide it")
    return None if findings.problems else service


def _service(findings: Findings, text: ServiceText, variables: dict[str, str], shared: Shared) -> model.Service:
    refuse_unknown_names(findings, text)
    deploys = {name: read_deploy(findings, name, deploy, shared) for name, deploy in text.deploys.items()}
    return model.Service(
        name=text.service,
        variables=variables,
        depends_on=tuple(text.depends_on),
        configs={
            name: model.Config(
                path=config.path,
                text=config.text,
                mode=config.mode,
                template=("configs", name, "text") in shared.templates,
            )
            for name, config in text.configs.items()
        },
        secrets=tuple(text.secrets),
        deploys=deploys,
        jobs={name: read_job(findings, name, job, shared) for name, job in text.jobs.items()},
        entry=read_entries(findings, text.entry, deploys, text.secrets),
        rollout=model.RolloutPolicy(
            deadline=text.rollout.deadline, tries=text.rollout.tries, on_failure=text.rollout.on_failure
        ),
        isolate=text.isolate,
        allow=tuple(text.allow),
    )
