"""The site's time servers."""

import pytest

from appliance.errors import UsageError
from tests.unit.api.cluster_in_memory import InMemory


def test_they_are_set_as_a_whole(cluster: InMemory) -> None:
    assert cluster.ask("GET", "/api/time-servers") == {"servers": []}
    cluster.ask("POST", "/api/time-servers", {"servers": ["ntp.site", "10.0.0.9", "ntp.site"]})
    assert cluster.ask("GET", "/api/time-servers") == {"servers": ["ntp.site", "10.0.0.9"]}
    cluster.ask("POST", "/api/time-servers", {"servers": []})
    assert cluster.ask("GET", "/api/time-servers") == {"servers": []}


@pytest.mark.parametrize("name", ["", "a b", "x\nallow all", "-x", "a" * 300, "ntp.site "])
def test_what_is_no_name_or_address_never_reaches_chronys_file(cluster: InMemory, name: str) -> None:
    with pytest.raises(UsageError):
        cluster.ask("POST", "/api/time-servers", {"servers": [name]})
