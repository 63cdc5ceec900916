"""The entry rules of a service from the file to the model."""

from collections.abc import Mapping, Sequence

from appliance.model.service import Deploy, Entry
from appliance.spec.containers import port_number
from appliance.spec.deploys import all_ports
from appliance.spec.findings import Findings
from appliance.spec.schema import EntryText
from appliance.spec.suggestion import suggestion
from appliance.spec.yaml_text import Path


def read_entries(
    findings: Findings, texts: Sequence[EntryText], deploys: Mapping[str, Deploy], secrets: Sequence[str]
) -> tuple[Entry, ...]:
    """In the order of the file. Two rules for the same requests are a problem."""
    entries = tuple(_entry(findings, ("entry", number, "to"), text, deploys) for number, text in enumerate(texts))
    claims: dict[str, int] = {}
    certificates: dict[str, str] = {}
    for number, entry in enumerate(entries):
        where: Path = ("entry", number)
        first = claims.setdefault(entry.claim, number)
        if first != number:
            same = "port" if entry.tcp or entry.udp else "host and path"
            findings.add(where, f"rule {first} (counted from 0) is for the same {same}")
        if entry.certificate and entry.certificate not in secrets:
            name = entry.certificate
            findings.add((*where, "certificate"), f"name {name} in secrets as well{suggestion(name, secrets)}")
        if entry.certificate and certificates.setdefault(entry.host, entry.certificate) != entry.certificate:
            findings.add((*where, "certificate"), "another rule names another certificate for this host")
    return entries


def _entry(findings: Findings, where: Path, text: EntryText, deploys: Mapping[str, Deploy]) -> Entry:
    name, slash, asked = text.to.partition("/")
    port = 0
    if not slash:
        findings.add(where, "write it as DEPLOY/PORT, with the name or number of a port")
    elif name not in deploys:
        findings.add(where, f"the service has no deploy {name[:100]}{suggestion(name, deploys)}")
    else:
        port = port_number(findings, where, asked, all_ports(deploys[name].containers))
    return Entry(
        deploy=name,
        port=port,
        host=text.host or "",
        path=text.path,
        tls=text.tls,
        certificate=text.certificate or "",
        tcp=text.tcp or 0,
        udp=text.udp or 0,
        body=text.body or 0,
        timeout=text.timeout,
        sticky=text.sticky,
    )
