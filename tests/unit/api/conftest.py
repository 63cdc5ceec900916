from collections.abc import Iterator

import pytest

from tests.unit.api.cluster_in_memory import InMemory, in_memory


@pytest.fixture
def cluster() -> Iterator[InMemory]:
    with in_memory() as made:
        yield made
