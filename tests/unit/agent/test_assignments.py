"""What the agent keeps on its disk, and what it hands on."""

from pathlib import Path

import pytest

from appliance.agent.assignments import AssignmentBook
from appliance.agent.reporter import Reporter
from appliance.model.instance import Assignment, InstanceStatus


def _assignment(service: str = "shop", index: int = 1) -> Assignment:
    return Assignment(
        instance=f"{service}/web-{index}", service=service, deploy="web", index=index, revision=1, containers=()
    )


def test_assignments_outlive_the_process(tmp_path: Path) -> None:
    AssignmentBook(tmp_path).put(_assignment())
    assert AssignmentBook(tmp_path).all() == {"shop/web-1": _assignment()}


def test_full_orders_remove_what_they_do_not_list_except_sidecars(tmp_path: Path) -> None:
    book = AssignmentBook(tmp_path)
    for assignment in (_assignment(), _assignment(index=2), _assignment("system")):
        book.put(assignment)
    book.apply(full=True, assignments=[_assignment(index=2)])
    assert {name: value.desired for name, value in book.all().items()} == {
        "shop/web-1": "removed",
        "shop/web-2": "running",
        "system/web-1": "running",
    }
    book.apply(full=False, assignments=(), forget=["shop/web-1"])
    assert "shop/web-1" not in AssignmentBook(tmp_path).all()


def test_what_full_orders_keep_for_later_ones_stays(tmp_path: Path) -> None:
    book = AssignmentBook(tmp_path)
    for index in (1, 2, 3):
        book.put(_assignment(index=index))
    book.apply(full=True, assignments=[_assignment(index=1)], keep=["shop/web-2"])
    assert [name for name, each in book.all().items() if each.desired == "removed"] == ["shop/web-3"]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"instance": "shop/\xffeb-1"}', b"[]", b'{"instance": "shop/db-1"}'])
def test_a_damaged_file_is_set_aside_until_it_is_sent_again(tmp_path: Path, damage: bytes) -> None:
    AssignmentBook(tmp_path).put(_assignment())
    (tmp_path / "shop/web-1.json").write_bytes(damage)
    book = AssignmentBook(tmp_path)
    assert book.damaged == {"shop/web-1"} and (tmp_path / "shop/web-1.damaged").exists()
    book.put(_assignment())
    assert not book.damaged


def test_what_could_not_be_sent_is_kept_unless_there_is_newer() -> None:
    sent: list[tuple[InstanceStatus, ...]] = []
    failing = True

    def send(statuses: tuple[InstanceStatus, ...]) -> None:
        if failing:
            raise OSError("no link")
        sent.append(statuses)

    reporter = Reporter(send)
    reporter.changed(InstanceStatus(instance="a", node="n", state="starting"))
    with pytest.raises(OSError, match="no link"):
        reporter.flush()
    reporter.changed(InstanceStatus(instance="a", node="n", state="running"))
    failing = False
    reporter.flush()
    assert [[status.state for status in statuses] for statuses in sent] == [["running"]]
