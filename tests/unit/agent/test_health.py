"""Probes: who is asked, how often, and when a verdict turns."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from msgspec import structs

from appliance.agent.health import Health, Kind, Target, ask
from appliance.engine.fake import FakeEngine
from appliance.model.container import Probe
from tests.lab.waiting import eventually

HOUR = 3600.0


@pytest.fixture
def health() -> Iterator[Health]:
    made = Health(FakeEngine({}), lambda instance: None)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """A socket with a port of its own that refuses everybody until it listens."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made


def asking(door: socket.socket, *, run: str = "1", kind: Kind = "ready", failures: int = 1) -> Target:
    port = door.getsockname()[1]
    probe = Probe(tcp=port, port=port, every=HOUR, failures=failures)
    return Target("web", kind, probe, "127.0.0.1", run)


def test_a_container_that_is_not_ready_yet_is_not_left_waiting_for_the_probes_pace(
    health: Health, door: socket.socket
) -> None:
    health.follow("shop/web-0", (asking(door),))
    health.follow("shop/other-0", (asking(door, kind="live"),))
    eventually(lambda: health.unwell("shop/other-0"), timeout=30)
    assert not health.ready("shop/web-0")
    door.listen()
    eventually(lambda: health.ready("shop/web-0"), timeout=30)


def test_what_has_no_probe_is_ready_and_well(health: Health) -> None:
    assert health.ready("shop/web-0")
    assert health.unwell("shop/web-0") == frozenset()


def test_a_live_container_is_believed_until_it_failed_often_enough(health: Health, door: socket.socket) -> None:
    health.follow("shop/web-0", (asking(door, kind="live", failures=2),))
    health.follow("shop/web-1", (asking(door, kind="live", failures=1),))
    eventually(lambda: health.unwell("shop/web-1"), timeout=30)
    assert health.unwell("shop/web-0") == frozenset()


def test_a_new_run_of_a_container_starts_from_nothing(health: Health, door: socket.socket) -> None:
    door.listen()
    health.follow("shop/web-0", (asking(door),))
    eventually(lambda: health.ready("shop/web-0"), timeout=30)
    door.close()
    health.follow("shop/web-0", (Target("web", "ready", Probe(tcp=1, port=1, every=HOUR), "127.0.0.1", "2"),))
    assert not health.ready("shop/web-0")


def test_what_is_followed_no_longer_counts_no_longer(health: Health, door: socket.socket) -> None:
    health.follow("shop/web-0", (asking(door, kind="live"),))
    eventually(lambda: health.unwell("shop/web-0"), timeout=30)
    health.follow("shop/web-0", ())
    assert health.unwell("shop/web-0") == frozenset()


def test_other_probes_wait_for_the_start_probe(health: Health, door: socket.socket) -> None:
    late, live = asking(door, kind="start", failures=1000), asking(door, kind="live")
    health.follow("shop/web-0", (replace(late, probe=structs.replace(late.probe, every=0.1)), live))
    health.follow("shop/other-0", (live,))
    eventually(lambda: health.unwell("shop/other-0"), timeout=30)
    assert health.unwell("shop/web-0") == frozenset()
    assert not health.ready("shop/web-0")
    door.listen()
    eventually(lambda: health.ready("shop/web-0"), timeout=30)


def test_a_start_probe_that_says_no_often_enough_makes_the_container_unwell(
    health: Health, door: socket.socket
) -> None:
    late = asking(door, kind="start", failures=2)
    health.follow("shop/web-0", (replace(late, probe=structs.replace(late.probe, every=0.2)),))
    eventually(lambda: health.unwell("shop/web-0"), timeout=30)


def test_a_grpc_server_is_asked_as_the_health_protocol_says() -> None:
    names = {"": 1, "shop.Web": 1, "shop.Down": 2}
    with _grpc_server(names) as port:
        said = {name: _grpc(port, name) for name in (*names, "shop.Unknown")}
    assert said == {"": True, "shop.Web": True, "shop.Down": False, "shop.Unknown": False}
    assert not _grpc(port, ""), "nobody listens any more"


def _grpc(port: int, service: str) -> bool:
    probe = Probe(grpc=service, port=port, timeout=2.0)
    return ask(FakeEngine({}), Target("web", "ready", probe, "127.0.0.1", "1"))


@contextmanager
def _grpc_server(names: dict[str, int]) -> Iterator[int]:
    """Answers for these services with a number of ``ServingStatus``; NOT_FOUND for others."""

    def check(question: Any, context: Any) -> Any:
        if question.value not in names:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return Int32Value(value=names[question.value])

    answer = grpc.unary_unary_rpc_method_handler(check, StringValue.FromString, Int32Value.SerializeToString)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": answer}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield int(port)
    server.stop(None).wait()
