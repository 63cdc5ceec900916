"""What people are told of certificates."""

from appliance.model.certificate import DAY, HeldCertificate, validity
from tests.unit.api.cluster_in_memory import InMemory

NOW = 1_767_225_600.0


def hold(cluster: InMemory, issued: float) -> None:
    held = HeldCertificate(node="n1", use="host", validity=validity(issued, 90 * DAY))
    cluster.write(cluster.state.held.put(held.name, held))


def test_those_that_end_first_are_on_top(cluster: InMemory) -> None:
    hold(cluster, NOW)
    host, authority = cluster.ask("GET", "/api/certificates")
    assert host == {
        "kind": "host",
        "of": "one",
        "for": "a node, towards managers",
        "valid_until": "2026-04-01T00:00:00Z",
        "renews_at": "2026-03-02T00:00:00Z",
        "state": "valid",
    }
    assert (authority["kind"], authority["renews_at"]) == ("authority", "")


def test_status_says_what_is_late(cluster: InMemory) -> None:
    hold(cluster, NOW)
    assert cluster.ask("GET", "/api/status")["certificates"]["late"] == []
    hold(cluster, NOW - 80 * DAY)
    assert [row["state"] for row in cluster.ask("GET", "/api/status")["certificates"]["late"]] == ["late"]
    hold(cluster, NOW - 91 * DAY)
    summary = cluster.ask("GET", "/api/status")["certificates"]
    assert (summary["next"]["kind"], summary["next"]["state"]) == ("host", "expired")
