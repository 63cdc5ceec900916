"""How far a service is, when its rollout failed, and what --wait makes of that."""

from typing import Any

import pytest

from appliance.cli.waiting import line_of, refuse_failed
from appliance.errors import ApplianceError, Conflict
from appliance.model.container import Container
from appliance.model.job import Job
from appliance.model.service import Deploy, Service
from tests.unit.api.cluster_in_memory import InMemory

BUSYBOX = Container(image="appliance/busybox")
RANKS = Service(
    name="shop",
    deploys={
        name: Deploy(name=name, rank=rank, containers={"main": BUSYBOX}) for name, rank in (("db", 0), ("web", 1))
    },
    jobs={"migrate": Job(name="migrate", type="once", rank=1, container=BUSYBOX)},
)


def progress(cluster: InMemory) -> dict[str, Any]:
    found: dict[str, Any] = cluster.ask("GET", "/api/services/shop/progress")
    return found


def test_ranks_are_told_apart_and_jobs_belong_to_theirs(cluster: InMemory) -> None:
    cluster.apply(RANKS)
    cluster.run("shop/db-0")
    found = progress(cluster)
    assert [(row["rank"], row["ready"], row["wanted"], row["done"]) for row in found["ranks"]] == [
        (0, 1, 1, True),
        (1, 0, 1, False),
    ]
    assert found["waiting"] == ["shop/web-0 waits for its turn.", "The job shop/migrate waits for its turn."]
    assert line_of(found) == "shop: rank 1: 0 of 1 ready; shop/web-0 waits for its turn."


def test_a_failed_rollout_is_over_once_the_service_has_gone_back(cluster: InMemory) -> None:
    cluster.apply("shop web 1 appliance/busybox")
    cluster.run("shop/web-0")
    cluster.apply("shop web 1 appliance/busybox:0.1.0")
    cluster.run("shop/web-0", revision=2, ready=False)
    cluster.roll_out("shop", "failed", previous=1, reason="rank 0: shop/web-0 failed 3 times in a row")
    going = progress(cluster)
    assert (going["done"], going["in_effect"]) == (False, 1)
    refuse_failed(going, 2)
    cluster.run("shop/web-0", revision=1)
    with pytest.raises(ApplianceError, match="revision 1 is in effect again") as failed:
        refuse_failed(progress(cluster), 2)
    assert failed.value.exit_code == 1
    assert failed.value.why == "rank 0: shop/web-0 failed 3 times in a row"


def test_a_failed_rollout_with_nothing_to_go_back_to_is_over_at_once(cluster: InMemory) -> None:
    cluster.apply("shop web 1 appliance/busybox")
    cluster.roll_out("shop", "failed", reason="no progress")
    with pytest.raises(ApplianceError, match="everything stays as it is"):
        refuse_failed(progress(cluster), 1)


def test_who_waits_for_a_revision_is_told_that_a_newer_one_came(cluster: InMemory) -> None:
    cluster.apply("shop web 1 appliance/busybox")
    cluster.apply("shop web 2 appliance/busybox")
    with pytest.raises(Conflict, match="went on to revision 2"):
        refuse_failed(progress(cluster), 1)


def test_a_paused_rollout_says_how_to_go_on(cluster: InMemory) -> None:
    cluster.apply("shop web 1 appliance/busybox")
    cluster.run("shop/web-0")
    cluster.ask("POST", "/api/services/shop/rollout/pause")
    assert "appliance rollout resume shop" in progress(cluster)["waiting"][0]
    assert not progress(cluster)["done"]
