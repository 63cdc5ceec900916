"""A manager's orders are written down one after the other, whatever the disk does."""

import logging
import threading
from collections.abc import Iterator

import pytest

from appliance.agent.inbox import Inbox
from tests.lab.waiting import eventually


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox(retry=0.01)
    yield inbox
    inbox.stop()


def test_orders_are_done_in_the_order_of_arrival(inbox: Inbox) -> None:
    done: list[int] = []
    for number in range(100):
        inbox.put(lambda number=number: done.append(number))  # type: ignore[misc]
    inbox.start()
    eventually(lambda: len(done) == 100, 30)
    assert done == list(range(100))


def test_putting_never_waits_for_the_work(inbox: Inbox) -> None:
    release, done = threading.Event(), threading.Event()
    inbox.start()

    def slow() -> None:
        assert release.wait(10)

    inbox.put(slow)
    inbox.put(done.set)
    assert not done.is_set()
    release.set()
    assert done.wait(10)


def test_what_a_full_disk_refused_is_tried_again_before_anything_later(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    refusals = iter([OSError("no space left"), OSError("no space left"), OSError("read-only")])

    def write() -> None:
        if refusal := next(refusals, None):
            raise refusal
        done.append("first")

    inbox.put(write)
    inbox.put(lambda: done.append("second"))
    with caplog.at_level(logging.ERROR):
        inbox.start()
        eventually(lambda: len(done) == 2, 30)
    assert done == ["first", "second"]
    assert [record.getMessage().count("no space") for record in caplog.records] == [1, 0], "each complaint once"


def test_orders_that_break_do_not_end_the_taking_of_orders(inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def broken() -> None:
        raise ValueError("on purpose")

    inbox.put(broken)
    inbox.put(done.set)
    with caplog.at_level(logging.ERROR):
        inbox.start()
        assert done.wait(10)
    assert "on purpose" in caplog.text


def test_it_stops_although_the_disk_stays_full(inbox: Inbox) -> None:
    tried = threading.Event()

    def write() -> None:
        tried.set()
        raise OSError("no space left")

    later = threading.Event()
    inbox.put(write)
    inbox.put(later.set)
    inbox.start()
    assert tried.wait(10)
    inbox.stop()
    assert not later.is_set(), "a manager sends it again"
