"""What measurements of the overlay mean."""

from typing import Any

import pytest

from appliance.model.measurement import Measurement
from appliance.network.diagnosis import troubles


def measured(**facts: Any) -> Measurement:
    well: dict[str, Any] = {"host": True, "overlay": True, "latency": 0.001, "size": 1450, "stream": "passes"}
    return Measurement(node="n-2", wanted=1450, **well | facts)


def said(**facts: Any) -> list[tuple[str, str]]:
    return [(trouble.what, trouble.next) for trouble in troubles(measured(**facts), "a", "b")]


def test_a_way_that_carries_everything_has_no_trouble() -> None:
    assert said() == []


def test_hosts_that_forbid_echoes_are_none_either() -> None:
    assert said(host=False) == []


NOTHING = {"overlay": False, "latency": None, "size": 0, "stream": "untried"}


@pytest.mark.parametrize(
    ("facts", "what", "following"),
    [
        (NOTHING, "b answers a, but not through the overlay.", "UDP port 8472"),
        (NOTHING | {"host": None}, "b does not answer a through the overlay.", "UDP port 8472"),
        (NOTHING | {"host": False}, "b does not answer a at all.", "is on and its network connected"),
        (
            {"size": 1350},
            "Packets of more than 1350 bytes do not get",
            "ip link set dev INTERFACE mtu 1400",
        ),
        ({"stream": "silent"}, "Echoes from a reach b through the overlay, TCP", "ethtool -K flannel.1"),
        ({"missing": ("route",)}, "a lacks the route to b.", "ip monitor all dev flannel.1"),
    ],
)
def test_each_trouble_has_its_remedy(facts: dict[str, Any], what: str, following: str) -> None:
    [(sentence, remedy)] = said(**facts)
    assert sentence.startswith(what)
    assert following in remedy
