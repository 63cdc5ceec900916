"""The list of everything from elsewhere that the package carries, as CycloneDX 1.6 JSON (cyclonedx.org)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from bundle.debian import Deb


def sbom(version: str, debs: Mapping[str, Sequence[Deb]], python: Iterable[tuple[str, str]]) -> bytes:
    """`debs` by the unit that carries them, `python` as (name, version). No clock and no random serial number."""
    carriers: dict[Deb, list[str]] = {}
    for unit, packages in sorted(debs.items()):
        for deb in packages:
            carriers.setdefault(deb, []).append(unit)
    components = [_debian(deb, units) for deb, units in sorted(carriers.items(), key=lambda pair: pair[0].package)]
    components += [_python(name, release) for name, release in sorted(python)]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "appliance", "version": version}},
        "components": components,
    }
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _debian(deb: Deb, units: Sequence[str]) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{quote(deb.package)}@{quote(deb.version)}?arch={deb.architecture}"
    return {
        "type": "library",
        "name": deb.package,
        "version": deb.version,
        "purl": purl,
        "bom-ref": purl,
        "hashes": [{"alg": "SHA-256", "content": deb.sha256}],
        "properties": [{"name": "appliance:carried-by", "value": unit} for unit in units],
    }


def _python(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{quote(name)}@{quote(version)}"
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
