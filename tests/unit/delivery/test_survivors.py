"""On which of the managers that are left a cluster is recovered."""

import pytest

from appliance.delivery.survivors import Survivor, freshest, loss, refuse_staler
from appliance.errors import Refused

OWN = Survivor("10.0.0.1", reached=True, revision=70)
GONE = Survivor("10.0.0.2", reached=False)
FRESHER = Survivor("10.0.0.3", reached=True, revision=72)
SILENT = Survivor("10.0.0.4", reached=True)
SILENT_OWN = Survivor("10.0.0.1", reached=True)


def test_the_last_survivor_is_taken_even_if_its_etcd_is_silent() -> None:
    refuse_staler(OWN, [GONE])
    refuse_staler(SILENT_OWN, [GONE])
    assert freshest(SILENT_OWN, [GONE]) is None
    assert "10.0.0.2" in loss(SILENT_OWN, [GONE])


def test_a_staler_one_is_refused_and_told_where_to_go_and_what_would_be_lost() -> None:
    with pytest.raises(Refused) as refused:
        refuse_staler(OWN, [FRESHER, GONE])
    assert "10.0.0.3" in refused.value.next and "72" in refused.value.why
    assert "71 to 72" in loss(OWN, [FRESHER, GONE])


def test_among_equals_this_host_is_the_freshest() -> None:
    equal = Survivor("10.0.0.3", reached=True, revision=70)
    refuse_staler(OWN, [equal, GONE])
    assert freshest(OWN, [equal, GONE]) == OWN


@pytest.mark.parametrize(("own", "other"), [(OWN, SILENT), (SILENT_OWN, FRESHER), (SILENT_OWN, SILENT)])
def test_one_whose_revision_is_unknown_may_be_the_fresher(own: Survivor, other: Survivor) -> None:
    with pytest.raises(Refused):
        refuse_staler(own, [other])
