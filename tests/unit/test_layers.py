"""Who may import whom (docs/design, "The house"): read from every file's imports."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"errors", "model"},
    {"spec", "store", "engine", "host", "component", "loop", "security"},
    {"orchestrator", "scheduler", "agent", "link", "network", "sidecars", "delivery"},
    {"api", "web", "terminal"},
    {"roles"},
    {"cli", "__main__"},
]
INTERFACES = {
    "store": {"store", "state", "keys", "codec", "membership"},
    "engine": {"engine", "container", "hook"},
}
"""What layer 3 may use of the store and the engine: never a particular one of them."""

GIVEN = {"bottle": "api", "cryptography": "security", "docker": "engine", "etcd3": "store", "waitress": "api"}
"""Packages that the people we build for asked for, whatever else would be smaller, and the room that uses each."""


def _layer(room: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS, 1) if room in rooms)


def _imports(file: Path) -> Iterator[list[str]]:
    """Dotted paths below `appliance` that a file imports, as lists."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1:] for alias in node.names if alias.name.startswith("appliance."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "appliance":
            base = (node.module or "").split(".")[1:]
            # `from appliance.store import keys` names a file as well.
            yield from ([*base, alias.name] for alias in node.names)


def _complaint(room: str, imported: list[str]) -> str:
    """A sentence naming the rule that an import breaks; empty when it breaks none."""
    other = imported[0]
    if other == room or other in ("VERSION", "RELEASE_COUNTER"):
        return ""
    ours, theirs = _layer(room), _layer(other)
    if theirs > ours:
        return f"{room} (layer {ours}) may not import {other} (layer {theirs}): only the same or lower layers"
    if theirs == ours == 3:
        return f"{room} may not import {other}: rooms of layer 3 meet in the store"
    if ours == 3 and other in INTERFACES and len(imported) > 1 and imported[1] not in INTERFACES[other]:
        return f"{room} may not import {other}.{imported[1]}: layer 3 knows the interface of {other} only"
    if ours == theirs == 1 and (room, other) != ("model", "errors"):
        return f"{room} (layer 1) imports nothing of ours"
    return ""


FILES = sorted(p for p in (ROOT / "appliance").rglob("*.py") if p.parent != ROOT / "appliance" or p.stem in LAYERS[1])


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_layer_may(file: Path) -> None:
    room = file.relative_to(ROOT / "appliance").parts[0].removesuffix(".py")
    complaints = [text for imported in _imports(file) if (text := _complaint(room, imported))]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("room", "imported", "rule"),
    [
        ("model", ["store", "store"], "only the same or lower layers"),
        ("agent", ["link", "messages"], "meet in the store"),
        ("scheduler", ["store", "etcd"], "interface of store only"),
        ("errors", ["model", "node"], "imports nothing"),
    ],
)
def test_each_rule_catches_its_breach(room: str, imported: list[str], rule: str) -> None:
    assert rule in _complaint(room, imported)


@pytest.mark.parametrize(("package", "room"), GIVEN.items())
def test_the_packages_that_were_asked_for_are_what_the_product_is_built_on(package: str, room: str) -> None:
    used = re.compile(rf"^\s*(import|from) {package}\b", re.MULTILINE)
    assert any(used.search(file.read_text()) for file in (ROOT / "appliance" / room).glob("*.py")), (
        f"appliance/{room} no longer uses {package}, which is not ours to drop"
    )
