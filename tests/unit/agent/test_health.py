"""Probes: who is asked, how often, and when a verdict turns."""

import socket
from collections.abc import Iterator

import pytest

from appliance.agent.health import Health, Target
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


def asking(door: socket.socket, *, run: str = "1", kind: str = "ready", failures: int = 1) -> Target:
    port = door.getsockname()[1]
    probe = Probe(tcp=port, port=port, every=HOUR, failures=failures)
    return Target("web", "ready" if kind == "ready" else "live", probe, "127.0.0.1", run)


def test_a_container_that_is_not_ready_yet_is_not_left_waiting_for_the_probes_pace(
    health: Health, door: socket.socket
) -> None:
    health.follow("shop/web-0", (asking(door),))
    health.follow("shop/other-0", (asking(door, kind="live"),))
    eventually(lambda: health.unwell("shop/other-0"), timeout=10)
    assert not health.ready("shop/web-0")
    door.listen()
    eventually(lambda: health.ready("shop/web-0"), timeout=10)


def test_what_has_no_probe_is_ready_and_well(health: Health) -> None:
    assert health.ready("shop/web-0")
    assert health.unwell("shop/web-0") == frozenset()


def test_a_live_container_is_believed_until_it_failed_often_enough(health: Health, door: socket.socket) -> None:
    health.follow("shop/web-0", (asking(door, kind="live", failures=2),))
    health.follow("shop/web-1", (asking(door, kind="live", failures=1),))
    eventually(lambda: health.unwell("shop/web-1"), timeout=10)
    assert health.unwell("shop/web-0") == frozenset()


def test_a_new_run_of_a_container_starts_from_nothing(health: Health, door: socket.socket) -> None:
    door.listen()
    health.follow("shop/web-0", (asking(door),))
    eventually(lambda: health.ready("shop/web-0"), timeout=10)
    door.close()
    health.follow("shop/web-0", (Target("web", "ready", Probe(tcp=1, port=1, every=HOUR), "127.0.0.1", "2"),))
    assert not health.ready("shop/web-0")


def test_what_is_followed_no_longer_counts_no_longer(health: Health, door: socket.socket) -> None:
    health.follow("shop/web-0", (asking(door, kind="live"),))
    eventually(lambda: health.unwell("shop/web-0"), timeout=10)
    health.follow("shop/web-0", ())
    assert health.unwell("shop/web-0") == frozenset()
