"""Why things are as they are, and what to do next."""

from typing import Any

import msgspec
import pytest

from appliance.errors import NotFound
from appliance.model.container import Container
from appliance.model.instance import Binding, Instance, InstanceStatus
from appliance.model.job import Job, JobRun
from appliance.model.service import Service
from appliance.model.wish import Heard
from appliance.store.keys import run_name
from tests.unit.api.cluster_in_memory import NOW, InMemory

ONE = "shop web 1 appliance/busybox"


def why(cluster: InMemory, thing: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.ask("GET", f"/api/why/{thing}")
    assert found["next"].startswith("appliance ") and found["page"]
    return found


def test_a_service_says_why_its_rollout_failed_and_where_to_look(cluster: InMemory) -> None:
    cluster.apply(ONE)
    cluster.roll_out("shop", "failed", reason="rank 0: shop/web-0 failed 3 times in a row")
    found = why(cluster, "shop")
    assert "rank 0: shop/web-0 failed 3 times in a row" in found["reasons"][0]
    assert found["next"] == "appliance history shop"


def test_a_service_says_that_it_is_paused_and_what_it_waits_for(cluster: InMemory) -> None:
    container = Container(image="appliance/busybox")
    job = Job(name="load", type="once", container=container)
    cluster.apply(Service(name="shop", jobs={"load": job}, depends_on=("db",)))
    assert "shop waits for db, which is not complete." in why(cluster, "shop")["reasons"]
    cluster.ask("POST", "/api/services/shop/rollout/pause")
    assert any("rollout resume shop" in each for each in why(cluster, "shop")["reasons"])


def test_a_service_that_is_as_wished_says_so(cluster: InMemory) -> None:
    cluster.apply(ONE)
    cluster.run("shop/web-0")
    cluster.roll_out("shop", "done")
    assert why(cluster, "shop")["reasons"] == ["shop is as wished: every instance runs and is ready."]


def test_a_failing_instance_leads_to_its_logs(cluster: InMemory) -> None:
    name = "shop/web-0"
    cluster.apply(ONE)
    seen = InstanceStatus(instance=name, node="n1", state="backoff", message="main ended with exit code 3")
    cluster.write(
        cluster.state.instances.put(name, Instance(name=name, service="shop", deploy="web", index=0, revision=1)),
        cluster.state.bindings.put(name, Binding(instance=name, node="n1", ip="", bound_at=NOW)),
        cluster.state.instance_status.put(name, seen),
    )
    found = why(cluster, name)
    assert "main ended with exit code 3" in found["reasons"]
    assert found["next"] == "appliance logs shop/web-0"


def test_a_job_that_failed_says_how_and_how_to_run_it_again(cluster: InMemory) -> None:
    job = Job(name="load", type="once", container=Container(image="appliance/busybox"))
    cluster.apply(Service(name="shop", jobs={"load": job}))
    run = JobRun(
        service="shop", job="load", number=1, revision=1, digest="d", reason="hand", created_at=NOW,
        instances=(), outcome="failed", exit_code=3,
    )  # fmt: skip
    cluster.write(cluster.state.runs.put(run_name("shop", "load", 1), run))
    assert any("failed with exit code 3" in each for each in why(cluster, "shop/load")["reasons"])


def test_a_node_leads_to_what_is_known_of_it(cluster: InMemory) -> None:
    assert why(cluster, "one")["next"] == "appliance node show one"


def test_what_does_not_exist_is_not_found(cluster: InMemory) -> None:
    with pytest.raises(NotFound):
        cluster.ask("GET", "/api/why/nothing/at-all")


def test_an_instance_says_what_was_asked_on_its_node_until_somebody_says_it_again(cluster: InMemory) -> None:
    cluster.apply(ONE)
    cluster.run("shop/web-0")
    head = cluster.state.services.get("shop")
    assert head
    heard = Heard(number=1, action="stop", at=NOW, who="li", node="n1", why="meanwhile it was started on a manager")
    cluster.write(cluster.state.services.put("shop", msgspec.structs.replace(head, heard={"shop/web-0": heard})))
    assert any("li said stop" in each and "not followed" in each for each in why(cluster, "shop/web-0")["reasons"])
    cluster.ask("POST", "/api/instances/shop/web-0/stop")
    assert not any("not followed" in each for each in why(cluster, "shop/web-0")["reasons"])
