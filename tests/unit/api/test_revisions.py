"""How a service file becomes the current revision, and how an earlier one comes back."""

import threading
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from appliance.api.revisions import Apply, accept, apply, propose
from appliance.errors import Conflict, NotFound, Refused, SpecInvalid
from appliance.model.container import Container
from appliance.model.job import Job
from appliance.model.service import Config, Deploy, Hook, Hooks, Rollout, Service
from appliance.store import keys
from appliance.store.store import Delete
from tests.unit.api.cluster_in_memory import InMemory, read_service

ONE = "shop web 1 appliance/busybox"
TWO = "shop web 2 appliance/busybox"


def service(name: str = "shop", **more: Any) -> Service:
    container = Container(image="appliance/busybox")
    return Service(name=name, deploys={"web": Deploy(name="web", containers={"main": container})}, **more)


def history(cluster: InMemory) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = cluster.ask("GET", "/api/services/shop/history")
    return rows


def test_a_revision_keeps_the_text_it_was_read_from_and_what_was_given_with_it(cluster: InMemory) -> None:
    cluster.apply("shop web 1 none", variables={"image": "appliance/busybox"}, message="first")
    kept = cluster.ask("GET", "/api/services/shop/revisions/1")
    assert (kept["source"], kept["overrides"]) == ("shop web 1 none", {"image": "appliance/busybox"})
    assert (kept["author"], kept["message"]) == ("root", "first")


def test_a_secret_without_a_value_is_refused_with_the_command_that_sets_it(cluster: InMemory) -> None:
    with pytest.raises(SpecInvalid) as refused:
        cluster.apply(service(secrets=("db-password",)))
    assert "appliance secret set shop/db-password" in refused.value.problems[0].message


def test_a_revision_has_the_newest_versions_of_its_own_secrets(cluster: InMemory) -> None:
    for version in (1, 2):
        cluster.set_secret("shop", "db-password", version)
    cluster.set_secret("shop", "other")
    cluster.apply(service(secrets=("db-password",)))
    assert cluster.ask("GET", "/api/services/shop")["secrets"] == {"db-password": 2}


def test_a_new_version_of_a_secret_makes_a_revision(cluster: InMemory) -> None:
    cluster.set_secret("shop", "db-password", 1)
    cluster.apply(service(secrets=("db-password",)))
    cluster.set_secret("shop", "db-password", 2)
    assert cluster.apply(service(secrets=("db-password",)))["revision"] == 2


def test_images_of_jobs_and_hooks_have_to_be_there_as_well(cluster: InMemory) -> None:
    job = Job(name="migrate", type="once", container=Container(image="none/job:1"))
    hook = Hook(run=("true",), image="none/hook:1")
    deploy = Deploy(name="web", containers={"main": Container(image="appliance/busybox")}, hooks=Hooks(pre=(hook,)))
    with pytest.raises(SpecInvalid) as refused:
        cluster.apply(Service(name="shop", deploys={"web": deploy}, jobs={"migrate": job}))
    assert [problem.path for problem in refused.value.problems] == ["deploys.web", "jobs.migrate.container.image"]


def test_everything_that_is_missing_is_named_at_once(cluster: InMemory) -> None:
    with pytest.raises(SpecInvalid) as refused:
        cluster.apply(service(secrets=("a", "b"), depends_on=("shop",)))
    assert len(refused.value.problems) == 3


def test_services_that_would_wait_for_each_other_are_refused(cluster: InMemory) -> None:
    cluster.apply(service("a", depends_on=("b",)))
    cluster.apply(service("b", depends_on=("c",)))
    with pytest.raises(SpecInvalid) as refused:
        cluster.apply(service("c", depends_on=("a",)))
    assert "c → a → b → c" in refused.value.problems[0].message


def test_a_dependency_that_does_not_exist_yet_is_said(cluster: InMemory) -> None:
    assert cluster.apply(service(depends_on=("db",)))["notes"] == ["It waits for db, which does not exist yet."]


def test_an_apply_that_failed_is_tried_again_by_the_same_file(cluster: InMemory) -> None:
    cluster.apply(ONE)
    cluster.roll_out("shop", "failed", reason="rank 0 did not become ready")
    assert cluster.apply(ONE)["revision"] == 2
    cluster.roll_out("shop", "done")
    assert cluster.apply(ONE)["changed"] is False


def test_a_service_too_large_for_the_store_is_refused_with_a_way_out(cluster: InMemory) -> None:
    large = Config(path="/a", text="x" * 600_000)
    with pytest.raises(Refused, match="too large to be kept") as refused:
        cluster.apply(service(configs={"a": large}))
    assert "several services" in refused.value.next


def test_a_stale_index_is_refused_naming_who_changed_the_service_and_when(cluster: InMemory) -> None:
    cluster.apply(ONE)
    cluster.apply(TWO, index=1, message="more")
    with pytest.raises(Conflict, match="at revision 2, not 1") as refused:
        cluster.apply(ONE, index=1)
    assert refused.value.exit_code == 3
    assert refused.value.why == "root made revision 2 at 2026-01-01T00:00:00Z: more"


def test_of_two_applies_at_the_same_time_one_wins_and_one_is_told(cluster: InMemory) -> None:
    both_have_read = threading.Barrier(2, timeout=10)

    def read_together(text: str, file: str, variables: dict[str, str]) -> Service:
        both_have_read.wait()
        return read_service(text, file, variables)

    context, ends = replace(cluster.context, read_service=read_together), list[object]()

    def author(name: str, text: str) -> None:
        try:
            ends.append(apply(context, Apply(text=text), name).revision)
        except Conflict as told:
            ends.append(told.why)

    authors = [threading.Thread(target=author, args=each) for each in (("anna", ONE), ("ben", TWO))]
    for thread in authors:
        thread.start()
    for thread in authors:
        thread.join(timeout=10)
    [winner] = [row["author"] for row in history(cluster)]
    assert sorted(ends, key=str)[0] == 1
    assert winner in str(sorted(ends, key=str)[1])


def test_applies_of_many_people_lose_no_revision_and_make_none_twice(cluster: InMemory) -> None:
    won: list[int] = []

    def author(number: int) -> None:
        for size in range(5):
            try:
                text = f"shop web {number * 10 + size} appliance/busybox"
                won.append(apply(cluster.context, Apply(text=text), f"author {number}").revision)
            except Conflict:
                continue

    authors = [threading.Thread(target=author, args=(number,)) for number in range(4)]
    for thread in authors:
        thread.start()
    for thread in authors:
        thread.join(timeout=20)
    assert sorted(won) == [row["revision"] for row in history(cluster)] == list(range(1, len(won) + 1))


def test_history_says_which_revision_failed_why_and_which_is_in_effect(cluster: InMemory) -> None:
    cluster.apply(ONE)
    cluster.apply(TWO)
    cluster.roll_out("shop", "failed", previous=1, reason="rank 0: shop/web-1 did not become ready")
    first, second = history(cluster)
    assert (first["state"], first["in_effect"], first["current"]) == ("done", True, False)
    assert (second["state"], second["in_effect"], second["current"]) == ("failed", False, True)
    assert second["reason"] == "rank 0: shop/web-1 did not become ready"


def test_rollback_goes_to_the_last_revision_that_was_complete(cluster: InMemory) -> None:
    for text in (ONE, TWO, "shop web 3 appliance/busybox"):
        cluster.apply(text)
    cluster.roll_out("shop", "failed", previous=1)
    cluster.ask("POST", "/api/services/shop/rollback", {})
    assert history(cluster)[-1]["message"] == "rollback to revision 1"


def test_rollback_brings_variables_configs_and_versions_of_secrets_back_together(cluster: InMemory) -> None:
    cluster.set_secret("shop", "key", 1)
    old = service(secrets=("key",), variables={"tag": "1"}, configs={"a": Config(path="/a", text="old")})
    cluster.apply(old)
    cluster.set_secret("shop", "key", 2)
    cluster.apply(service(secrets=("key",), variables={"tag": "2"}, configs={"a": Config(path="/a", text="new")}))
    assert cluster.ask("POST", "/api/services/shop/rollback", {"to": 1})["revision"] == 3
    back = cluster.ask("GET", "/api/services/shop/revisions/3")
    assert msgspec.convert(back["spec"], Service) == old
    assert back["secrets"] == {"key": 1}


def test_a_rollback_to_a_version_of_a_secret_that_was_removed_names_it(cluster: InMemory) -> None:
    cluster.set_secret("shop", "key", 1)
    cluster.apply(service(secrets=("key",)))
    cluster.set_secret("shop", "key", 2)
    cluster.apply(service(secrets=("key",)))
    cluster.context.commit([cluster.state.secrets.delete(keys.secret_name("shop", "key", 1))], [])
    with pytest.raises(Refused, match="key version 1"):
        cluster.ask("POST", "/api/services/shop/rollback", {"to": 1})


def test_an_unknown_revision_is_not_found(cluster: InMemory) -> None:
    cluster.apply(ONE)
    with pytest.raises(NotFound):
        cluster.ask("GET", "/api/services/shop/revisions/9")


def test_history_keeps_how_each_revision_ended(cluster: InMemory) -> None:
    for text in (ONE, TWO, "shop web 3 appliance/busybox"):
        cluster.apply(text)
    failed = Rollout(service="shop", revision=2, state="failed", previous=1, reason="rank 0: it failed")
    cluster.write(cluster.state.outcomes.put(keys.revision_name("shop", 2), failed))
    cluster.roll_out("shop", "running", previous=1)
    found = [(row["state"], row["reason"]) for row in history(cluster)]
    assert found == [("done", ""), ("failed", "rank 0: it failed"), ("running", "")]


def test_a_secret_that_is_removed_while_its_revision_is_on_its_way_ends_the_apply(cluster: InMemory) -> None:
    cluster.set_secret("shop", "key")
    wanted = propose(cluster.context, msgspec.json.encode(service(secrets=("key",))).decode(), "", {})
    stored = cluster.state.secrets.prefix + keys.secret_name("shop", "key", 1)
    store = cluster.context.store

    def stamp() -> float:
        """The moment of the revision is asked for after its conditions are known to hold, and before it is written."""
        store.commit([Delete(stored)])
        return 0.0

    with pytest.raises(Conflict, match="removed meanwhile: key"):
        accept(replace(cluster.context, clock=stamp), wanted, 0)
    assert cluster.state.services.all() == {}


def test_an_apply_forgets_what_was_asked_of_a_deploy_that_nothing_is_left_of(cluster: InMemory) -> None:
    cluster.apply(ONE)
    cluster.ask("POST", "/api/services/shop/scale", {"deploy": "web", "replicas": 3})
    cluster.run("shop/web-0")
    cluster.apply("shop api 1 appliance/busybox")
    assert cluster.head("shop").scale == {"web": 3}, "its instance is there still"
    cluster.context.commit([cluster.state.instances.delete("shop/web-0")], [])
    cluster.apply("shop api 2 appliance/busybox")
    cluster.apply("shop api 3 appliance/busybox")
    assert cluster.head("shop").scale == {}
