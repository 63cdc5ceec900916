"""What happened in the cluster, told as events: derived, remembered, asked for."""

import threading
from pathlib import Path

import msgspec
import pytest

from appliance.api.chronicle import drafts
from appliance.api.event_log import EventLog
from appliance.errors import UsageError
from appliance.model.diary import Happening, NodeDiary
from appliance.model.instance import Binding, InstanceState, InstanceStatus, Refusal
from appliance.model.job import JobRun
from appliance.model.node import NodeSpec, NodeStatus
from appliance.model.service import Move, Rollout, ServiceHead
from appliance.model.wish import Heard
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.mirror import Alteration
from appliance.store.store import Entry
from tests.lab.waiting import eventually
from tests.unit.api.cluster_in_memory import InMemory


def change(key: str, old: object, new: object) -> Alteration:
    before, after = (None if value is None else Entry(key, encode(value), 1) for value in (old, new))
    return Alteration(key, before, after)


def told(prefix: str, old: object, new: object) -> list[str]:
    return [f"{each.subject} {each.message}" for each in drafts(change(f"{prefix}x", old, new))]


def head(**fields: object) -> ServiceHead:
    return ServiceHead(**{"service": "shop", "revision": 1, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"revision": 2}, "shop revision 2 is wanted"),
        ({"deleted": True}, "shop is to be deleted"),
        ({"halted": True}, "shop is to be stopped"),
        ({"paused": True}, "shop is paused"),
        ({"generation": 1}, "shop is to be restarted, rank by rank"),
        ({"scale": {"web": 4}}, "shop/web 4 replicas by hand"),
        ({"stopped": ("shop/web-1",)}, "shop/web-1 is to be stopped"),
        ({"restarts": {"shop/web-1": 1}}, "shop/web-1 is to be restarted"),
        ({"moves": {"shop/web-1": Move(number=1)}}, "shop/web-1 is to be moved"),
    ],
)
def test_each_wish_is_one_event(fields: dict[str, object], sentence: str) -> None:
    assert told(keys.SERVICES, head(), head(**fields)) == [sentence]


def test_what_was_asked_on_a_node_tells_whether_it_is_followed() -> None:
    asked = Heard(number=1, action="stop", at="2026-01-01T00:00:00Z", who="li", node="n1")
    refused = msgspec.structs.replace(asked, why="meanwhile it was started on a manager")
    (followed,) = drafts(change(f"{keys.SERVICES}shop", head(), head(heard={"shop/web-1": asked})))
    (conflict,) = drafts(change(f"{keys.SERVICES}shop", head(), head(heard={"shop/web-1": refused})))
    assert (followed.kind, followed.level, followed.node) == ("service", "info", "n1")
    assert (conflict.kind, conflict.level, conflict.subject) == ("conflict", "warning", "shop/web-1")
    assert conflict.message.endswith("by that node's clock; not followed: meanwhile it was started on a manager")


def test_a_rollout_tells_its_outcome_with_the_reason() -> None:
    running = Rollout(service="shop", revision=2, state="running")
    failed = Rollout(service="shop", revision=2, state="failed", reason="rank 1: shop/web-0 failed")
    (event,) = drafts(change(f"{keys.ROLLOUTS}shop", running, failed))
    assert (event.level, event.message) == ("warning", "revision 2 failed: rank 1: shop/web-0 failed")


def test_an_instance_tells_state_restarts_and_readiness() -> None:
    def status(state: InstanceState, *, ready: bool = False, restarts: int = 0, message: str = "") -> InstanceStatus:
        return InstanceStatus(
            instance="shop/web-0",
            node="n1",
            state=state,
            ready=ready,
            restarts=restarts,
            message=message,
        )

    up = status("running", ready=True)
    assert told(keys.INSTANCE_STATUS, None, up) == ["shop/web-0 is running", "shop/web-0 is ready"]
    assert told(keys.INSTANCE_STATUS, up, status("running", ready=True, restarts=2)) == [], "its node tells of each"
    down = status("backoff", message="main ended with code 3")
    assert told(keys.INSTANCE_STATUS, up, down) == ["shop/web-0 is backoff: main ended with code 3"]


def test_what_happened_on_a_node_is_told_once_in_order_and_with_its_own_time_if_it_was_alone() -> None:
    def diary(*numbers: int, lost: int = 0, volume: str = "v") -> NodeDiary:
        happenings = tuple(
            Happening(
                number=number, at="T", kind="restart", instance="shop/web-0", message=f"m{number}", alone=number < 3
            )
            for number in numbers
        )
        return NodeDiary(node="n1", volume=volume, last=numbers[-1], lost=lost, happenings=happenings)

    assert told(keys.DIARIES, None, diary(2, 3)) == [
        "shop/web-0 m2 (while it was alone, at T by its clock)",
        "shop/web-0 m3",
    ]
    assert told(keys.DIARIES, diary(2, 3), diary(3, 4)) == ["shop/web-0 m4"]
    assert told(keys.DIARIES, diary(3), diary(3, 9, lost=5))[0] == (
        "n1 was alone for so long that 5 happenings before these are lost"
    )
    assert told(keys.DIARIES, diary(7), diary(3, volume="w")) == ["shop/web-0 m3"], "a diary that was lost begins anew"


def test_placements_and_refusals_are_told() -> None:
    bound = Binding(instance="shop/web-0", node="n1", ip="", bound_at="")
    assert told(keys.BINDINGS, None, bound) == ["shop/web-0 has its node"]
    refused = Refusal(instance="shop/web-0", reason="1 of 1 node is cordoned")
    assert told(keys.REFUSALS, None, refused) == ["shop/web-0 finds no room: 1 of 1 node is cordoned"]
    assert told(keys.REFUSALS, refused, refused) == []


def test_a_run_tells_when_it_is_due_and_how_it_ended() -> None:
    def run(**fields: object) -> JobRun:
        usual = {"service": "shop", "job": "report", "number": 7, "revision": 1, "digest": "", "reason": "schedule"}
        return JobRun(**{**usual, "created_at": "", "instances": (), **fields})  # type: ignore[arg-type]

    assert told(keys.RUNS, None, run()) == ["shop/report/7 is due"]
    assert told(keys.RUNS, run(), run(outcome="failed", exit_code=3)) == ["shop/report/7 failed with exit code 3"]


def test_a_node_tells_what_was_decided_about_it() -> None:
    node = NodeSpec(id="n1", name="one", number=1, address="10.0.0.1")
    drained = NodeSpec(id="n1", name="one", number=1, address="10.0.0.1", cordoned=True, draining=True)
    assert told(keys.NODES, None, node) == ["one has joined"]
    assert told(keys.NODES, node, drained) == ["one is being drained"]
    assert told(keys.NODES, drained, node) == ["one takes instances again"]


def test_events_name_nodes_and_are_found_by_their_subject(cluster: InMemory) -> None:
    cluster.run("shop/web-0")
    cluster.run("shop2/web-0")
    eventually(lambda: len(cluster.ask("GET", "/api/events", subject="shop")["events"]) == 3, timeout=30)
    events = cluster.ask("GET", "/api/events", subject="shop")["events"]
    assert {event["subject"] for event in events} == {"shop/web-0"}
    assert {event["node"] for event in events} == {"one"}
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})


def test_who_waits_gets_what_comes_next(cluster: InMemory) -> None:
    cluster.run("shop/web-0")
    eventually(lambda: len(cluster.ask("GET", "/api/events")["events"]) >= 3, timeout=30)
    last = cluster.ask("GET", "/api/events", last="1")["after"]
    answers: list[dict[str, list[dict[str, str]]]] = []
    waiting = threading.Thread(
        target=lambda: answers.append(cluster.ask("GET", "/api/events", after=str(last), timeout="20"))
    )
    waiting.start()
    status = NodeStatus(id="n1", state="unreachable", since="", message="it is too new")
    cluster.write(cluster.state.node_status.put("n1", status))
    waiting.join(10)
    shown = [(event["subject"], event["message"], event["level"]) for event in answers[0]["events"]]
    assert shown == [("one", "is unreachable", "warning"), ("one", "it is too new", "warning")]


def test_a_number_that_is_none_is_refused(cluster: InMemory) -> None:
    with pytest.raises(UsageError):
        cluster.ask("GET", "/api/events", after="x")


def test_events_outlive_the_manager_and_broken_lines(cluster: InMemory, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    first = EventLog(cluster.context.events._mirror, cluster.state, file)
    first.start()
    first.take([change(f"{keys.SERVICES}shop", None, head())])
    first.stop()
    with file.open("ab") as lines:
        lines.write(b'{"id": 5, "at"')
    again = EventLog(cluster.context.events._mirror, cluster.state, file)
    again.start()
    again.take([change(f"{keys.SERVICES}shop", head(), head(revision=2))])
    assert [event.message for event in again.after(0)] == ["revision 1 is wanted", "revision 2 is wanted"]
    again.stop()
