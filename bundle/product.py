"""One build from beginning to end: the list of steps that make `dist/appliance`."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundle import docs, images, lock, package, runtime, sbom, wheels
from bundle.debian import Wanted
from bundle.lock import Supply
from bundle.workshop import CHECKOUT, Architecture, BuildFailed, native, say, step

DIST = CHECKOUT / "dist"


@dataclass(frozen=True)
class Order:
    """What somebody asked to be built. `strict`: refuse where a locked file is no longer to be had."""

    architecture: Architecture
    mirror: str | None = None
    strict: bool = False
    added: tuple[Path, ...] = ()

    @property
    def out(self) -> Path:
        """`dist/appliance` for this machine, `dist/appliance-ARCH` for another."""
        own = self.architecture == native()
        return DIST / ("appliance" if own else f"appliance-{self.architecture.debian}")


def wanted_units() -> dict[str, Wanted]:
    """Everything asked of Debian, by unit."""
    units = {"tools": runtime.TOOLS, "python": runtime.PYTHON.wanted, "engine": runtime.ENGINE.wanted}
    return {**units, **{f"image/{recipe.name}": recipe.wanted for recipe in images.recipes()}}


def open_workshop(*, mirror: str | None, strict: bool) -> tuple[runtime.Workshop, runtime.Patchelf, Supply]:
    """The workshop's own tools, and the supply for this machine that they were made from."""
    supply = lock.supply(native(), wanted_units(), mirror=mirror, strict=strict)
    with step("the workshop's Python"):
        patchelf = runtime.Patchelf(supply.unit("tools"))
        workshop = runtime.Workshop(supply.unit("python"), patchelf)
    return workshop, patchelf, supply


def build(order: Order) -> Path:
    """Make the package and return its path."""
    version, counter = release()
    workshop, patchelf, own_supply = open_workshop(mirror=order.mirror, strict=order.strict)
    supply = own_supply
    if order.architecture != native():
        supply = lock.supply(order.architecture, wanted_units(), mirror=order.mirror, strict=order.strict)
    with step("runtime: python"):
        python = runtime.pack_python(supply.unit("python"), order.architecture, patchelf, workshop)
    with step("runtime: engine"):
        engine = runtime.pack_engine(supply.unit("engine"), order.architecture, patchelf)
    with step("wheels"):
        wheels.wheels(order.architecture, workshop)
    with step("bytecode"):
        compiled = wheels.bytecode_of_wheels(order.architecture, workshop), wheels.bytecode_of_own_code(workshop)
    with step("PEX"):
        pex = wheels.make_pex(order.architecture, workshop)
    with step("manual"):
        manual = docs.manual(workshop)
    with step("images"):
        made = [
            images.build_image(recipe, supply.unit(f"image/{recipe.name}"), order.architecture, version)
            for recipe in images.recipes()
        ]
        made += images.added_images(order.added)
    carried = {name: debs for name, debs in supply.units.items() if name != "tools"}
    with step(f"{order.out.relative_to(CHECKOUT)}"):
        parts = [
            package.file_part("python", "runtime", python.path, runtime=python.name),
            package.file_part("bytecode/wheels", "bytecode", compiled[0]),
            package.file_part("bytecode/own", "bytecode", compiled[1]),
            package.file_part("engine", "runtime", engine.path, runtime=engine.name),
            package.file_part("manual", "manual", manual),
            package.bytes_part("sbom", "sbom", sbom.sbom(version, carried, wheels.locked_packages())),
            *package.image_parts(made),
            package.file_part("pex", "pex", pex),
        ]
        facts = {
            "product": "appliance",
            "version": version,
            "release": counter,
            "architecture": order.architecture.machine,
            "commit": commit(),
            "date": source_date(),
            "built_from_lock": not supply.replaced,
            "replaced": list(supply.replaced),
            "images": [package.image_entry(image) for image in made],
        }
        package.write_package(
            order.out, parts, facts, machine=order.architecture.machine, loader=order.architecture.loader
        )
    for sentence in supply.replaced:
        say(f"  note  not from the lock: {sentence}")
    say(f"{order.out}  {order.out.stat().st_size / 1e6:.1f} MB  {version}  {order.architecture.machine}")
    return order.out


def renew_locks(mirror: str | None) -> None:
    """Take the current versions of everything."""
    lock.renew_debian_lock(wanted_units(), mirror=mirror)
    workshop, _, _ = open_workshop(mirror=mirror, strict=False)
    wheels.renew_locks(workshop)


def release() -> tuple[str, int]:
    """Version and release counter, read from the product's source, which need not run here."""
    text = (CHECKOUT / "appliance" / "__init__.py").read_text()
    version = re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE)
    counter = re.search(r"^RELEASE_COUNTER = (\d+)$", text, re.MULTILINE)
    if version is None or counter is None:
        raise BuildFailed("appliance/__init__.py names no VERSION and RELEASE_COUNTER.", next="put them there")
    return version[1], int(counter[1])


def commit() -> str:
    """The commit that is built, with a `+` when files differ from it; `unknown` outside a repository."""
    head = _git("rev-parse", "HEAD")
    if not head:
        return "unknown"
    changed = _git("status", "--porcelain", "--", "appliance", "bundle", "docs", "images", "pyproject.toml")
    return head + ("+" if changed else "")


def source_date() -> int:
    """Seconds since 1970: `SOURCE_DATE_EPOCH`, else when the commit was made (reproducible-builds.org)."""
    said = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    return int(said or 0)


def _git(*words: str) -> str:
    command: Sequence[str | Path] = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", CHECKOUT, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
