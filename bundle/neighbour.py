"""The package of a neighbouring release, made from the same tree: to try how releases work side by side (ADR 95)."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bundle import product
from bundle.workshop import CHECKOUT, BuildFailed, remove

TREE = ("appliance", "bundle", "docs", "images", "build.py", "pyproject.toml")
"""What a package is made from."""


def build(number: int, *, mirror: str | None = None, strict: bool = False) -> Path:
    """Build this tree, for this machine, as release `number`; returns the package's path. The rest as in `Order`.

    The tree is copied, and only what it says of itself is changed.
    """
    version, counter = product.release()
    place = product.DIST / f"release-{number}"
    remove(place)
    _copy(place)
    source = place / "appliance" / "__init__.py"
    source.write_text(_said(source.read_text(), number, version_of(number, version, counter)))
    words = [*(["--mirror", mirror] if mirror else []), *(["--locked"] if strict else [])]
    settings = {**os.environ, "SOURCE_DATE_EPOCH": str(product.source_date())}
    if subprocess.run([sys.executable, place / "build.py", "build", *words], env=settings).returncode:
        raise BuildFailed(f"The tree could not be built as release {number}.", next=f"look at {place}")
    package = product.DIST / f"appliance-release-{number}"
    (place / "dist" / "appliance").replace(package)
    remove(place)
    return package


def version_of(number: int, version: str, counter: int) -> str:
    """That of release `number`, where `counter` has `version`: a minor version for each release. Pure."""
    major, minor, _ = version.split(".", 2)
    if int(minor) + number < counter or number < 0:
        raise BuildFailed(f"There is no release {number}.", next=f"this tree is release {counter}, version {version}")
    return f"{major}.{int(minor) + number - counter}.0"


def _copy(place: Path) -> None:
    place.mkdir(parents=True)
    for name in TREE:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, place / name)


def _said(text: str, number: int, version: str) -> str:
    text = re.sub(r'^VERSION = ".+"$', f'VERSION = "{version}"', text, flags=re.MULTILINE)
    return re.sub(r"^RELEASE_COUNTER = \d+$", f"RELEASE_COUNTER = {number}", text, flags=re.MULTILINE)
