"""The entry rules of a service from the file to the model."""

from collections.abc import Mapping, Sequence

from appliance.model.service import Deploy, Entry
from appliance.spec.containers import port_number
from appliance.spec.deploys import all_ports
from appliance.spec.findings import Findings
from appliance.spec.schema import EntryText
from appliance.spec.suggestion import suggestion
from appliance.spec.yaml_text import Path


def read_entries(findings: Findings, texts: Sequence[EntryText], deploys: Mapping[str, Deploy]) -> tuple[Entry, ...]:
    """In the order of the file. Two rules for the same requests are a problem."""
    seen: dict[tuple[str, str], int] = {}
    for number, text in enumerate(texts):
        first = seen.setdefault((text.host or "", text.path), number)
        if first != number:
            findings.add(("entry", number), f"rule {first} (counted from 0) is for the same host and path")
    return tuple(_entry(findings, ("entry", number, "to"), text, deploys) for number, text in enumerate(texts))


def _entry(findings: Findings, where: Path, text: EntryText, deploys: Mapping[str, Deploy]) -> Entry:
    name, slash, asked = text.to.partition("/")
    port = 0
    if not slash:
        findings.add(where, "write it as DEPLOY/PORT, with the name or number of a port")
    elif name not in deploys:
        findings.add(where, f"the service has no deploy {name[:100]}{suggestion(name, deploys)}")
    else:
        port = port_number(findings, where, asked, all_ports(deploys[name].containers))
    return Entry(deploy=name, port=port, host=text.host or "", path=text.path)
