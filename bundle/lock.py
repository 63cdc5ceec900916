"""The lock of Debian packages: which file, by sha256, each unit of the package is made from.

A unit is an image (`image/NAME`), a runtime (`python`, `engine`) or the tools of the workshop (`tools`). The lock is
JSON so that a diff shows one line per package; it names no mirror.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundle.debian import Apt, Deb, Wanted
from bundle.workshop import ARCHITECTURES, CHECKOUT, Architecture, BuildFailed, say, step

DEBIAN_LOCK = CHECKOUT / "bundle" / "debian.lock"


@dataclass(frozen=True)
class Supply:
    """The package files of every unit for one architecture, all of them in the cache.

    `replaced` lists, as sentences, the locked packages that the mirror no longer had.
    """

    units: Mapping[str, tuple[Deb, ...]]
    files: Mapping[str, Path]
    replaced: tuple[str, ...]

    def unit(self, name: str) -> list[tuple[Deb, Path]]:
        return [(deb, self.files[deb.sha256]) for deb in self.units[name]]


def supply(architecture: Architecture, wanted: Mapping[str, Wanted], *, mirror: str | None, strict: bool) -> Supply:
    """The locked files; where the mirror dropped some, what it has now, unless `strict`.

    A closure is only consistent as a whole, so one dropped version makes all units of the architecture take the
    mirror's current versions.
    """
    apt = Apt(architecture, mirror)
    units = _locked_units(architecture, wanted)
    with step(f"Debian packages for {architecture.debian}"):
        files, gone = apt.fetch(_every_deb(units))
    if not gone:
        return Supply(units, files, ())
    names = ", ".join(sorted({f"{deb.package} {deb.version}" for deb in gone}))
    if strict:
        raise BuildFailed(f"The mirror no longer has: {names}.", next="renew the lock: ./build.py lock")
    say(f"  note  the mirror no longer has {names}; taking its current versions")
    current = _resolve(apt, wanted)
    with step(f"current Debian packages for {architecture.debian}"):
        files, still_gone = apt.fetch(_every_deb(current))
    if still_gone:
        raise BuildFailed("The mirror changes while it is read.", next="build again in a few minutes")
    return Supply(current, files, changes(_every_deb(units), _every_deb(current)))


def changes(locked: list[Deb], current: list[Deb]) -> tuple[str, ...]:
    """One sentence per package that differs from its lock. Pure."""
    before = {deb.package: deb.version for deb in locked}
    after = {deb.package: deb.version for deb in current}
    return tuple(
        f"{name}: {before.get(name, 'absent')} is locked, {after.get(name, 'absent')} was taken"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def renew_debian_lock(wanted: Mapping[str, Wanted], *, mirror: str | None) -> None:
    """Write the mirror's current versions into the lock, for both architectures."""
    architectures = {}
    for architecture in ARCHITECTURES.values():
        with step(f"resolving Debian packages for {architecture.debian}"):
            units = _resolve(Apt(architecture, mirror), wanted)
        architectures[architecture.debian] = {
            "units": {
                name: {
                    "packages": list(wanted[name].packages),
                    "leave_out": list(wanted[name].leave_out),
                    "locked": [deb.package for deb in debs],
                }
                for name, debs in units.items()
            },
            "packages": {deb.package: deb.as_json() for deb in _every_deb(units)},
        }
    DEBIAN_LOCK.write_text(_lock_text({"format": 1, "architectures": architectures}))


def _lock_text(lock: dict[str, Any]) -> str:
    """JSON with one line per unit and per package."""
    out = ['{"format": 1, "architectures": {']
    architectures = lock["architectures"]
    for number, (name, content) in enumerate(architectures.items()):
        out.append(f'"{name}": {{')
        for section in ("units", "packages"):
            out.append(f'"{section}": {{')
            lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(content[section].items())]
            out.append(",\n".join(lines))
            out.append("}," if section == "units" else "}")
        out.append("}," if number + 1 < len(architectures) else "}")
    return "\n".join([*out, "}}", ""])


def _resolve(apt: Apt, wanted: Mapping[str, Wanted]) -> dict[str, tuple[Deb, ...]]:
    return {name: tuple(apt.resolve(unit)) for name, unit in wanted.items()}


def _locked_units(architecture: Architecture, wanted: Mapping[str, Wanted]) -> dict[str, tuple[Deb, ...]]:
    """The lock's units; refuses a lock which was made for other recipes."""
    if not DEBIAN_LOCK.exists():
        raise BuildFailed(f"{DEBIAN_LOCK.name} is missing.", next="./build.py lock")
    lock = json.loads(DEBIAN_LOCK.read_text())["architectures"][architecture.debian]
    packages = {name: Deb(**fields) for name, fields in lock["packages"].items()}
    units = {}
    for name, unit in wanted.items():
        locked = lock["units"].get(name)
        if locked is None or (locked["packages"], locked["leave_out"]) != (list(unit.packages), list(unit.leave_out)):
            raise BuildFailed(f"The lock is older than the recipe of {name}.", next="./build.py lock")
        units[name] = tuple(packages[package] for package in locked["locked"])
    return units


def _every_deb(units: Mapping[str, tuple[Deb, ...]]) -> list[Deb]:
    """Each package file once, by name."""
    found = {deb.sha256: deb for debs in units.values() for deb in debs}
    return sorted(found.values(), key=lambda deb: deb.package)
