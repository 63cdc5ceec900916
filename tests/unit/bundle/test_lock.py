"""The locks hold what a build takes."""

import json
import re

from bundle import lock, product, wheels
from bundle.debian import Deb


def deb(name: str, version: str) -> Deb:
    return Deb(name, version, "amd64", "0" * 64, 1)


def test_a_replaced_package_is_named_with_both_versions() -> None:
    locked = [deb("curl", "1"), deb("same", "1"), deb("old", "1")]
    current = [deb("curl", "2"), deb("same", "1"), deb("new", "3")]
    assert lock.changes(locked, current) == (
        "curl: 1 is locked, 2 was taken",
        "new: absent is locked, 3 was taken",
        "old: 1 is locked, absent was taken",
    )


def test_the_debian_lock_fits_the_recipes() -> None:
    content = json.loads(lock.DEBIAN_LOCK.read_text())
    for architecture in content["architectures"].values():
        asked = {name: list(unit.packages) for name, unit in product.wanted_units().items()}
        assert {name: unit["packages"] for name, unit in architecture["units"].items()} == asked
        for unit in architecture["units"].values():
            assert set(unit["packages"]) <= set(unit["locked"]) <= set(architecture["packages"])


def test_every_python_package_is_locked_with_a_hash() -> None:
    for path in (wheels.PYTHON_LOCK, wheels.TEST_LOCK, wheels.TOOLS_LOCK):
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"[a-z0-9.-]+==\S+( --hash=sha256:[0-9a-f]{64})+", line), line


def test_no_lock_names_a_host() -> None:
    for path in (lock.DEBIAN_LOCK, wheels.PYTHON_LOCK, wheels.TEST_LOCK, wheels.TOOLS_LOCK):
        assert "://" not in path.read_text()
