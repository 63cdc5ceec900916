"""What the overview page is told."""

import pytest

from appliance.api.overview import overview
from appliance.model.instance import Instance, InstanceStatus
from tests.lab.waiting import eventually
from tests.unit.api.cluster_in_memory import InMemory


def service(cluster: InMemory) -> dict[str, object]:
    (row,) = overview(cluster.state, cluster.context.events, "1", "n1", {})["services"]
    return {name: row[name] for name in ("state", "reason", "ready", "instances")}


@pytest.fixture
def shop(cluster: InMemory) -> InMemory:
    """One ready instance of a complete revision."""
    cluster.apply("shop web 1 appliance/busybox")
    cluster.run("shop/web-0")
    cluster.roll_out("shop", "done")
    return cluster


def test_a_complete_service_whose_instances_serve_is_ready(shop: InMemory) -> None:
    assert service(shop) == {"state": "ready", "reason": "", "ready": 1, "instances": 1}


def test_an_instance_of_a_job_does_not_count(shop: InMemory) -> None:
    wish = Instance(name="shop/job-0", service="shop", deploy="job", index=0, revision=1, run=1)
    seen = InstanceStatus(instance="shop/job-0", node="n1", state="succeeded", revision=1)
    shop.write(shop.state.instances.put("shop/job-0", wish), shop.state.instance_status.put("shop/job-0", seen))
    assert service(shop) == {"state": "ready", "reason": "", "ready": 1, "instances": 1}


def test_an_instance_that_does_not_serve_shows(shop: InMemory) -> None:
    shop.run("shop/web-0", ready=False)
    assert service(shop)["state"] == "not ready"


def test_a_failed_rollout_shows_with_its_reason(shop: InMemory) -> None:
    shop.roll_out("shop", "failed", reason="rank 0: shop/web-0 failed 8 times in a row")
    found = service(shop)
    assert (found["state"], found["reason"]) == ("failed", "rank 0: shop/web-0 failed 8 times in a row")


@pytest.mark.parametrize(("action", "state"), [("stop", "stopped"), ("rollout/pause", "paused")])
def test_what_a_person_asked_for_shows(shop: InMemory, action: str, state: str) -> None:
    shop.ask("POST", f"/api/services/shop/{action}")
    assert service(shop)["state"] == state


def test_the_newest_event_comes_first(shop: InMemory) -> None:
    shop.ask("POST", "/api/services/shop/rollout/pause")

    def newest() -> str:
        return str(overview(shop.state, shop.context.events, "1", "n1", {})["events"][0]["message"])

    eventually(lambda: newest() == "is paused", timeout=5)
