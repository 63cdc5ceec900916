"""What the package of a neighbouring release is called."""

import pytest

from bundle.neighbour import version_of
from bundle.workshop import BuildFailed


@pytest.mark.parametrize(("number", "version"), [(6, "0.3.0"), (7, "0.4.0"), (8, "0.5.0"), (3, "0.0.0")])
def test_a_release_more_is_a_minor_version_more(number: int, version: str) -> None:
    assert version_of(number, "0.4.2", counter=7) == version


@pytest.mark.parametrize("number", [2, -1])
def test_there_is_no_release_before_the_first(number: int) -> None:
    with pytest.raises(BuildFailed):
        version_of(number, "0.4.2", counter=7)
