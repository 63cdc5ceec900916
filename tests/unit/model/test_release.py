"""Which agents a manager works with."""

import pytest

from appliance.model.release import Release, refusal


def release(number: int) -> Release:
    return Release(number=number, version=f"0.{number}.0")


@pytest.mark.parametrize(("agent", "fits"), [(2, False), (3, True), (4, True), (5, False), (9, False)])
def test_managers_work_with_agents_of_their_release_and_of_the_one_before(agent: int, fits: bool) -> None:
    assert (refusal(release(agent), release(4), "n-1") is None) == fits


@pytest.mark.parametrize("agent", [2, 5])
def test_a_refusal_names_both_releases_the_node_and_the_remedy(agent: int) -> None:
    refused = refusal(release(agent), release(4), "n-1")
    assert refused
    assert str(release(agent)) in refused.what and str(release(4)) in refused.what
    assert refused.where == "n-1"
    assert "upgrade" in refused.next and "goes on" in refused.next
