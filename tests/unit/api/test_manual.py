"""The manual of the API: docs/api.md names every address, and none that does not exist."""

import re
from pathlib import Path

from tests.unit.api.cluster_in_memory import InMemory

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/api.md").read_text()


def as_written(path: str) -> str:
    """``/api/services/<name>`` as people read it: ``/api/services/NAME``."""
    return re.sub(r"<(\w+)[^>]*>", lambda found: found[1].upper(), path)


def test_every_route_is_in_the_manual_and_no_other(cluster: InMemory) -> None:
    routes = {f"{route.method} {as_written(route.path)}" for route in cluster.routes}
    assert set(re.findall(r"`((?:GET|POST|DELETE) /\S+)`", PAGE)) == routes


def test_public_routes_are_called_so(cluster: InMemory) -> None:
    for route in cluster.routes:
        row = next(line for line in PAGE.splitlines() if f"`{route.method} {as_written(route.path)}`" in line)
        assert ("Public" in row) == route.public, row


def test_every_live_connection_is_in_the_manual() -> None:
    live = (ROOT / "appliance/terminal/live.py").read_text()
    assert set(re.findall(r"`(/ws/\w+)", PAGE)) == set(re.findall(r'"(/ws/\w+)"', live))
