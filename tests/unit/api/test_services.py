"""What the API makes of a service."""

import threading
from typing import Any

import pytest

from appliance.errors import Conflict, NotFound, Refused, SpecInvalid, UsageError
from appliance.model.cluster import Image
from appliance.model.container import Container
from appliance.model.service import Deploy, Entry, Service
from tests.unit.api.cluster_in_memory import NOW, InMemory

SPEC = "shop web 2 appliance/busybox"


def apply(cluster: InMemory, text: str = SPEC, **more: object) -> dict[str, Any]:
    return cluster.apply(text, **more)


def test_apply_makes_the_first_revision_and_the_next_read_sees_it(cluster: InMemory) -> None:
    assert apply(cluster) == {"service": "shop", "revision": 1, "changed": True, "notes": []}
    assert cluster.ask("GET", "/api/services/shop")["spec"]["deploys"]["web"]["replicas"] == 2


def test_the_same_spec_again_makes_no_revision(cluster: InMemory) -> None:
    apply(cluster)
    assert apply(cluster) == {"service": "shop", "revision": 1, "changed": False, "notes": []}


def test_a_count_set_by_hand_stays_over_an_apply_which_says_so(cluster: InMemory) -> None:
    apply(cluster)
    cluster.ask("POST", "/api/services/shop/scale", {"deploy": "web", "replicas": 5})
    [note] = apply(cluster, "shop web 3 appliance/busybox")["notes"]
    assert "web is scaled by hand to 5; the file says 3" in note
    assert cluster.ask("GET", "/api/services/shop/progress")["wanted"] == 5


def test_a_count_set_by_hand_is_taken_back(cluster: InMemory) -> None:
    apply(cluster)
    cluster.ask("POST", "/api/services/shop/scale", {"deploy": "web", "replicas": 5})
    cluster.ask("POST", "/api/services/shop/scale", {"deploy": "web", "replicas": None})
    assert cluster.head("shop").scale == {}


def test_an_unknown_image_is_refused_with_its_place_and_the_remedy(cluster: InMemory) -> None:
    with pytest.raises(SpecInvalid) as refused:
        apply(cluster, "shop web 1 shop/web:1")
    [problem] = refused.value.problems
    assert problem.path == "deploys.web.containers.main.image"
    assert "appliance image load" in problem.message


def test_a_loaded_image_may_be_used_and_then_not_removed(cluster: InMemory) -> None:
    image = Image(reference="shop/web:1", id="sha256:1", pull="p", architecture="amd64", size=1, loaded_at=NOW)
    cluster.ask("POST", "/api/images", image)
    apply(cluster, "shop web 1 shop/web:1")
    with pytest.raises(Refused, match="used by shop"):
        cluster.ask("DELETE", "/api/images/shop/web:1")


def test_an_index_that_is_not_the_current_revision_is_a_conflict(cluster: InMemory) -> None:
    apply(cluster, index=0)
    with pytest.raises(Conflict):
        apply(cluster, "shop web 3 appliance/busybox", index=0)
    assert apply(cluster, "shop web 3 appliance/busybox", index=1)["revision"] == 2


def test_the_name_system_is_refused(cluster: InMemory) -> None:
    with pytest.raises(Refused, match="the appliance's own"):
        apply(cluster, "system web 1 appliance/busybox")


def test_rollback_makes_the_old_spec_a_new_revision(cluster: InMemory) -> None:
    apply(cluster)
    apply(cluster, "shop web 3 appliance/busybox")
    assert cluster.ask("POST", "/api/services/shop/rollback", {})["revision"] == 3
    history = cluster.ask("GET", "/api/services/shop/history")
    assert [row["revision"] for row in history if row["current"]] == [3]
    assert cluster.ask("GET", "/api/services/shop")["spec"]["deploys"]["web"]["replicas"] == 2


def test_rollback_without_an_earlier_revision_is_refused(cluster: InMemory) -> None:
    apply(cluster)
    with pytest.raises(NotFound, match="no earlier revision"):
        cluster.ask("POST", "/api/services/shop/rollback", {})


def test_scaling_an_unknown_deploy_names_the_known_ones(cluster: InMemory) -> None:
    apply(cluster)
    with pytest.raises(NotFound) as refused:
        cluster.ask("POST", "/api/services/shop/scale", {"deploy": "wbe", "replicas": 1})
    assert "web" in refused.value.why


def test_a_negative_scale_is_wrong_usage(cluster: InMemory) -> None:
    apply(cluster)
    with pytest.raises(UsageError):
        cluster.ask("POST", "/api/services/shop/scale", {"deploy": "web", "replicas": -1})


def test_a_service_being_deleted_cannot_be_applied(cluster: InMemory) -> None:
    apply(cluster)
    cluster.ask("DELETE", "/api/services/shop")
    with pytest.raises(Conflict, match="being deleted"):
        apply(cluster)


def test_progress_is_done_when_every_instance_runs_the_revision_and_is_ready(cluster: InMemory) -> None:
    apply(cluster)
    cluster.run("shop/web-0")
    found = cluster.ask("GET", "/api/services/shop/progress")
    assert (found["done"], found["ready"], found["wanted"]) == (False, 1, 2)
    cluster.run("shop/web-1")
    assert not cluster.ask("GET", "/api/services/shop/progress")["done"]
    cluster.roll_out("shop", "done")
    assert cluster.ask("GET", "/api/services/shop/progress")["done"]


def test_progress_waits_for_a_restart_that_was_asked_for(cluster: InMemory) -> None:
    apply(cluster, "shop web 1 appliance/busybox")
    cluster.run("shop/web-0")
    cluster.ask("POST", "/api/instances/shop/web-0/restart")
    assert not cluster.ask("GET", "/api/services/shop/progress")["done"]
    cluster.roll_out("shop", "done")
    cluster.run("shop/web-0", restart=1)
    assert cluster.ask("GET", "/api/services/shop/progress")["done"]


def test_a_deploy_that_a_new_revision_does_not_change_counts_as_done(cluster: InMemory) -> None:
    apply(cluster, "shop web 1 appliance/busybox")
    cluster.run("shop/web-0")
    apply(cluster, "shop web 2 appliance/busybox")
    apply(cluster, "shop web 1 appliance/busybox")
    cluster.roll_out("shop", "done")
    assert cluster.ask("GET", "/api/services/shop/progress")["done"]


def test_following_progress_returns_as_soon_as_it_moves(cluster: InMemory) -> None:
    apply(cluster)
    seen = cluster.ask("GET", "/api/services/shop/progress")["tag"]
    found: list[int] = []
    asking = threading.Thread(
        target=lambda: found.append(cluster.ask("GET", "/api/services/shop/progress", seen=seen, timeout="20")["ready"])
    )
    asking.start()
    cluster.run("shop/web-0")
    asking.join(timeout=10)
    assert found == [1]


def test_a_stopped_instance_is_as_wished_and_start_takes_it_back(cluster: InMemory) -> None:
    apply(cluster, "shop web 1 appliance/busybox")
    cluster.ask("POST", "/api/instances/shop/web-0/stop")
    assert cluster.state.services.all()["shop"].stopped == ("shop/web-0",)
    cluster.ask("POST", "/api/instances/shop/web-0/start")
    assert cluster.state.services.all()["shop"].stopped == ()


def test_an_instance_that_nobody_wants_cannot_be_restarted(cluster: InMemory) -> None:
    apply(cluster)
    with pytest.raises(NotFound):
        cluster.ask("POST", "/api/instances/shop/web-9/restart")


def served(name: str, *entries: Entry, secrets: tuple[str, ...] = ()) -> Service:
    web = Deploy(name="web", containers={"main": Container(image="appliance/busybox")})
    return Service(name=name, deploys={"web": web}, entry=entries, secrets=secrets)


def test_an_entry_that_another_service_has_is_refused_with_its_name(cluster: InMemory) -> None:
    cluster.apply(served("shop", Entry(deploy="web", port=80, host="a"), Entry(deploy="web", port=80, tcp=70)))
    with pytest.raises(SpecInvalid) as refused:
        cluster.apply(served("thief", Entry(deploy="web", port=80, tcp=70), Entry(deploy="web", port=80, host="b")))
    [problem] = refused.value.problems
    assert problem.path == "entry.0"
    assert "the service shop has the entry tcp/70 already" in problem.message
    cluster.ask("DELETE", "/api/services/shop")
    cluster.apply(served("thief", Entry(deploy="web", port=80, tcp=70)))


def test_a_secret_that_is_no_certificate_is_refused(cluster: InMemory) -> None:
    cluster.ask("POST", "/api/secrets/shop/tls", {"value": "nonsense"})
    with pytest.raises(SpecInvalid) as refused:
        cluster.apply(served("shop", Entry(deploy="web", port=80, certificate="tls"), secrets=("tls",)))
    [problem] = refused.value.problems
    assert problem.path == "entry.0.certificate"
    assert "no certificate in PEM format" in problem.message
