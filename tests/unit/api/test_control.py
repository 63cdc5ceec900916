"""What people ask of whole services and of single instances, and what the head becomes."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.api.control import ACTIONS, PAUSES, controlled
from appliance.api.instances import changed, moved
from appliance.errors import Conflict, NotFound, Refused, UsageError
from appliance.model.container import Container
from appliance.model.instance import Instance
from appliance.model.job import Job
from appliance.model.node import NodeSpec, NodeStatus
from appliance.model.service import Deploy, Move, Placement, Service, ServiceHead, Volume
from tests.unit.api.cluster_in_memory import NOW, InMemory

WEB = Deploy(name="web", replicas=2, containers={"main": Container(image="appliance/busybox")})
SHOP = Service(name="shop", deploys={"web": WEB})
NAMES = st.sampled_from(["shop/web-0", "shop/web-1"])


def shop_with(**more: object) -> Service:
    return Service(name="shop", deploys={"web": replace(WEB, **more)})


def add_node(cluster: InMemory, *, cordoned: bool = False) -> None:
    node = NodeSpec(id="n2", name="two", number=2, address="10.0.0.2", cordoned=cordoned)
    cluster.write(
        cluster.state.nodes.put("n2", node),
        cluster.state.node_status.put("n2", NodeStatus(id="n2", state="ready", since=NOW)),
    )


def test_a_service_is_stopped_and_started_as_a_whole(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    cluster.ask("POST", "/api/services/shop/stop")
    assert cluster.head("shop").halted
    assert "stopped" in cluster.apply(SHOP)["notes"][0]
    cluster.ask("POST", "/api/services/shop/start")
    assert not cluster.head("shop").halted


def test_a_restart_of_a_service_counts_its_generations(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    cluster.ask("POST", "/api/services/shop/restart")
    cluster.ask("POST", "/api/services/shop/restart")
    assert cluster.ask("GET", "/api/services/shop")["generation"] == 2


def test_a_stopped_service_is_not_restarted_but_says_how_to_start_it(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    cluster.ask("POST", "/api/services/shop/stop")
    with pytest.raises(Refused) as refused:
        cluster.ask("POST", "/api/services/shop/restart")
    assert "appliance start shop" in refused.value.next


def test_progress_waits_for_the_generation_that_was_asked_for(cluster: InMemory) -> None:
    cluster.apply("shop web 1 appliance/busybox")
    cluster.roll_out("shop", "done")
    cluster.run("shop/web-0")
    cluster.ask("POST", "/api/services/shop/restart")
    assert not cluster.ask("GET", "/api/services/shop/progress")["done"]
    cluster.run("shop/web-0", generation=1)
    assert cluster.ask("GET", "/api/services/shop/progress")["done"]


def test_a_rollout_is_paused_and_resumed(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    cluster.ask("POST", "/api/services/shop/rollout/pause")
    assert cluster.ask("GET", "/api/services/shop/rollout")["paused"] is True
    cluster.ask("POST", "/api/services/shop/rollout/resume")
    assert cluster.head("shop").paused is False


def test_a_service_that_another_depends_on_is_not_deleted(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    cluster.apply(Service(name="front", deploys={"web": WEB}, depends_on=("shop",)))
    with pytest.raises(Refused, match="front depends on it"):
        cluster.ask("DELETE", "/api/services/shop")
    cluster.ask("DELETE", "/api/services/front")
    assert cluster.ask("DELETE", "/api/services/shop") == {"service": "shop", "deleted": True}


def test_a_service_being_deleted_takes_no_other_wish(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    cluster.ask("DELETE", "/api/services/shop")
    with pytest.raises(Conflict, match="being deleted"):
        cluster.ask("POST", "/api/services/shop/restart")


def test_what_runs_on_every_node_has_no_count_and_does_not_move(cluster: InMemory) -> None:
    cluster.apply(shop_with(every_node=True))
    with pytest.raises(Refused, match="has no count"):
        cluster.ask("POST", "/api/services/shop/scale", {"deploy": "web", "replicas": 2})
    with pytest.raises(Refused, match="belongs to its node"):
        cluster.ask("POST", "/api/instances/shop/web-1/move", {})


def test_an_instance_that_is_pinned_to_a_node_does_not_move(cluster: InMemory) -> None:
    cluster.apply(shop_with(placement=Placement(node="one")))
    with pytest.raises(Refused, match="pinned to the node one"):
        cluster.ask("POST", "/api/instances/shop/web-0/move", {})


def test_a_move_says_where_from_and_where_to(cluster: InMemory) -> None:
    add_node(cluster)
    cluster.apply(SHOP)
    cluster.run("shop/web-0")
    cluster.ask("POST", "/api/instances/shop/web-0/move", {"to": "two"})
    assert cluster.head("shop").moves == {"shop/web-0": Move(number=1, to="n2", away_from="n1")}


def test_progress_waits_for_a_move(cluster: InMemory) -> None:
    add_node(cluster)
    cluster.apply("shop web 1 appliance/busybox")
    cluster.run("shop/web-0")
    cluster.ask("POST", "/api/instances/shop/web-0/move", {})
    assert cluster.ask("GET", "/api/services/shop/progress")["waiting"] == ["shop/web-0 is being moved."]


def test_an_instance_with_data_moves_only_when_it_may_lose_it(cluster: InMemory) -> None:
    add_node(cluster)
    cluster.apply(shop_with(volumes={"data": Volume()}))
    with pytest.raises(Refused, match="data on its node") as refused:
        cluster.ask("POST", "/api/instances/shop/web-0/move", {})
    assert "--discard-data" in refused.value.next
    cluster.ask("POST", "/api/instances/shop/web-0/move", {"discard_data": True})
    assert cluster.head("shop").moves


def test_memory_and_folders_of_the_node_are_no_data_of_the_instance(cluster: InMemory) -> None:
    cluster.apply(shop_with(volumes={"tmp": Volume(medium="memory"), "logs": Volume(path="/srv/logs")}))
    assert cluster.ask("POST", "/api/instances/shop/web-0/move", {})["action"] == "move"


def test_nothing_is_moved_to_a_node_that_takes_nothing(cluster: InMemory) -> None:
    add_node(cluster, cordoned=True)
    cluster.apply(SHOP)
    with pytest.raises(Refused) as refused:
        cluster.ask("POST", "/api/instances/shop/web-0/move", {"to": "two"})
    assert refused.value.why == "it is cordoned"


def test_nothing_is_moved_to_where_it_is(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    cluster.run("shop/web-0")
    with pytest.raises(Refused, match="on one already"):
        cluster.ask("POST", "/api/instances/shop/web-0/move", {"to": "one"})


def test_an_instance_of_a_job_is_not_moved(cluster: InMemory) -> None:
    job = Job(name="report", type="normal", container=Container(image="appliance/busybox"))
    cluster.apply(Service(name="shop", jobs={"report": job}))
    made = Instance(name="shop/report-0", service="shop", deploy="report", index=0, revision=1, run=1)
    cluster.write(cluster.state.instances.put(made.name, made))
    with pytest.raises(Refused, match="job shop/report"):
        cluster.ask("POST", "/api/instances/shop/report-0/move", {})


def test_wishes_at_the_same_time_are_all_kept(cluster: InMemory) -> None:
    cluster.apply(SHOP)

    def wish() -> None:
        for _ in range(10):
            try:
                cluster.ask("POST", "/api/services/shop/restart")
                counted.append(1)
            except Conflict:
                continue

    counted: list[int] = []
    people = [threading.Thread(target=wish) for _ in range(4)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join(timeout=20)
    assert cluster.head("shop").generation == len(counted) > 10


def test_a_count_is_checked(cluster: InMemory) -> None:
    cluster.apply(SHOP)
    with pytest.raises(UsageError):
        cluster.ask("POST", "/api/services/shop/scale", {"deploy": "web", "replicas": 10_001})
    with pytest.raises(NotFound):
        cluster.ask("POST", "/api/services/none/stop")


@given(st.lists(st.tuples(st.sampled_from(["stop", "start", "restart"]), NAMES), max_size=20))
def test_what_is_asked_of_one_instance_never_touches_another(wishes: list[tuple[str, str]]) -> None:
    head = ServiceHead(service="shop", revision=1)
    for action, name in wishes:
        before, head = head, changed(head, name, action)
        others = {"shop/web-0", "shop/web-1"} - {name}
        assert all((other in before.stopped) == (other in head.stopped) for other in others)
        assert all(before.restarts.get(other) == head.restarts.get(other) for other in others)
        assert len(set(head.stopped)) == len(head.stopped)
    for name in ("shop/web-0", "shop/web-1"):
        asked = [action for action, one in wishes if one == name]
        assert head.restarts.get(name, 0) == asked.count("restart")
        last = next((action for action in reversed(asked) if action != "restart"), "start")
        assert (name in head.stopped) == (last == "stop")


@given(st.lists(st.sampled_from([*ACTIONS, *PAUSES]), max_size=20))
def test_the_generation_only_grows_and_the_revision_never_changes(actions: list[str]) -> None:
    head = ServiceHead(service="shop", revision=3, scale={"web": 2})
    for action in actions:
        before = head
        try:
            head = controlled(head, action)
        except Refused:
            assert action == "restart" and head.halted
        assert head.generation - before.generation == (action == "restart" and not before.halted)
        assert (head.revision, head.scale) == (3, {"web": 2})


@given(st.lists(st.tuples(NAMES, st.sampled_from(["", "n1", "n2"])), max_size=20))
def test_moves_are_counted_for_each_instance(wishes: list[tuple[str, str]]) -> None:
    head = ServiceHead(service="shop", revision=1)
    for name, to in wishes:
        head = moved(head, name, to, "n3")
    assert {name: move.number for name, move in head.moves.items()} == {
        name: sum(one == name for one, _ in wishes) for name, _ in wishes
    }
