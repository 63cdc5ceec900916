"""What people ask of instances on their node: done at once, on the disk, and dropped once a manager has heard."""

from pathlib import Path

import msgspec
import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.agent.wishes import LocalWishes
from appliance.errors import NotFound, Refused
from appliance.model.instance import Assignment
from appliance.model.job import JobPlan
from appliance.model.wish import Action, Known

WEB = Assignment(instance="shop/web-1", service="shop", deploy="web", index=1, revision=1, containers=())
NOW = "2026-01-01T00:00:00Z"


def opened(folder: Path) -> tuple[AssignmentBook, LocalWishes]:
    """As an agent that has just started finds them."""
    wishes = LocalWishes(folder / "wishes.json", lambda: NOW)
    return AssignmentBook(folder / "assignments", wishes), wishes


def as_read(book: AssignmentBook) -> tuple[str, int]:
    found = book.get("shop/web-1")
    assert found
    return found.desired, found.restart


def test_a_stop_holds_over_restarts_and_new_orders_until_a_manager_has_heard(tmp_path: Path) -> None:
    book, _ = opened(tmp_path)
    book.put(WEB)
    made = book.wish("shop/web-1", "stop", "li")
    assert (made.at, made.who, made.known) == (NOW, "li", Known(desired="running", restart=0, generation=0))
    book, wishes = opened(tmp_path)
    assert as_read(book) == ("stopped", 0)
    book.apply(full=True, assignments=[msgspec.structs.replace(WEB, revision=2)])
    assert as_read(book) == ("stopped", 0)
    book.put(msgspec.structs.replace(WEB, revision=2, heard=made.number))
    assert as_read(book) == ("running", 0), "managers wanted something else meanwhile"
    assert not wishes.all()


def test_several_wishes_add_up_and_remember_what_managers_wanted_before_them(tmp_path: Path) -> None:
    book, wishes = opened(tmp_path)
    book.put(WEB)
    actions: list[Action] = ["stop", "start", "restart", "restart"]
    numbers = [book.wish("shop/web-1", action, "li").number for action in actions]
    assert numbers == sorted(set(numbers))
    [wish] = wishes.all()
    assert (wish.action, wish.desired, wish.restart) == ("restart", "running", 2)
    assert wish.known == Known(desired="running", restart=0, generation=0)


def test_a_number_is_beyond_all_that_was_heard_of_the_instance_anywhere(tmp_path: Path) -> None:
    book, _ = opened(tmp_path)
    book.put(msgspec.structs.replace(WEB, heard=57))
    assert book.wish("shop/web-1", "stop", "li").number == 58


def test_a_node_cannot_keep_what_is_to_be_removed(tmp_path: Path) -> None:
    book, wishes = opened(tmp_path)
    book.put(WEB)
    book.wish("shop/web-1", "start", "li")
    book.apply(full=True, assignments=[])
    assert as_read(book) == ("removed", 0)
    with pytest.raises(Refused):
        book.wish("shop/web-1", "start", "li")
    book.apply(full=False, assignments=[], forget=["shop/web-1"])
    assert not wishes.all()


def test_what_is_not_this_nodes_a_jobs_or_a_sidecar_is_refused(tmp_path: Path) -> None:
    book, _ = opened(tmp_path)
    book.put(msgspec.structs.replace(WEB, job=JobPlan(type="once")))
    book.put(msgspec.structs.replace(WEB, instance="system/ntp-1", service="system"))
    with pytest.raises(NotFound):
        book.wish("shop/db-0", "stop", "li")
    for name in ("shop/web-1", "system/ntp-1"):
        with pytest.raises(Refused):
            book.wish(name, "stop", "li")


def test_those_who_follow_hear_of_every_change(tmp_path: Path) -> None:
    book, wishes = opened(tmp_path)
    heard: list[int] = []
    wishes.subscribe(lambda now: heard.append(len(now)))
    book.put(WEB)
    number = book.wish("shop/web-1", "stop", "li").number
    book.put(msgspec.structs.replace(WEB, desired="stopped", heard=number))
    assert heard == [0, 1, 0]


def test_an_assignment_and_a_wish_keep_what_a_newer_release_has_added(tmp_path: Path) -> None:
    book, _ = opened(tmp_path)
    book.put(WEB)
    book.wish("shop/web-1", "stop", "li")
    files = tmp_path / "assignments/shop/web-1.json", tmp_path / "wishes.json"
    for file in files:
        file.write_bytes(b'{"later":1,' + file.read_bytes()[1:])
    book, _ = opened(tmp_path)
    book.put(msgspec.structs.replace(WEB, revision=2))
    book.wish("shop/web-1", "start", "li")
    assignment, wishes = (msgspec.json.decode(file.read_bytes()) for file in files)
    assert (assignment["revision"], assignment["later"]) == (2, 1)
    assert (wishes["number"], wishes["later"]) == (2, 1)
