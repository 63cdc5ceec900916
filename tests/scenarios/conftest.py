"""Clusters that the tests of one story share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.cluster import Cluster
from tests.lab.lab import Lab

BOTH_WAYS = ("test_three_hosts", "test_managers_gone", "test_addresses")
"""The stories that every run tells in both dial modes; APPLIANCE_DIAL=manager tells them all in the other."""

LONGEST = (
    "test_kill_during_up",
    "test_three_hosts",
    "test_three_managers",
    "test_certificates",
    "test_examples",
    "test_entry",
    "test_moves",
    "test_managers_and_links",
    "test_time",
    "test_overlay",
    "test_jobs",
    "test_recover",
    "test_managers_gone",
)
"""The stories of more than a minute and a half. They begin first, so that none goes on when all else has ended."""


@pytest.fixture(scope="module")
def dial() -> str:
    """Which side opens connections; see `pytest_generate_tests`."""
    return os.environ.get("APPLIANCE_DIAL", "agent")


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, package: Path, dial: str) -> Iterator[Lab]:
    """A lab whose hosts all hold a copy of the package; hosts that join as agents, of APPLIANCE_AGENT_PACKAGE if set.

    Where the way between two hosts is one-way, nobody may even have tried to go it in the other direction. What was
    counted is printed (`pytest -s`).
    """
    agents = os.environ.get("APPLIANCE_AGENT_PACKAGE")
    with Lab(package=package, dial=dial, agent_package=Path(agents).resolve() if agents else None) as lab:
        yield lab
        print(f"\none-way: {request.module.__name__}: dropped {lab.dropped()}")
        assert not any(lab.dropped().values()), f"packets were sent the forbidden way: {lab.dropped()}"


@pytest.fixture(scope="module")
def one_node(lab: Lab) -> Cluster:
    cluster = Cluster(lab)
    cluster.start(lab.host("m1"))
    return cluster


@pytest.fixture(scope="module")
def three_nodes(one_node: Cluster) -> Cluster:
    """A manager and two agents, none with a default route."""
    for name in ("a1", "a2"):
        one_node.join(one_node.lab.host(name))
    return one_node


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    both = metafunc.module.__name__.rpartition(".")[2] in BOTH_WAYS and "APPLIANCE_DIAL" not in os.environ
    if both and "dial" in metafunc.fixturenames:
        metafunc.parametrize("dial", ["agent", "manager"], scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.scenario)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    story = item.path.stem
    return LONGEST.index(story) if story in LONGEST else len(LONGEST)
