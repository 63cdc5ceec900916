"""Backups by the API: for administrators."""

import pytest

from appliance.api.call import Call
from appliance.errors import NotFound, NotPermitted, UsageError
from appliance.model.cluster import User
from tests.unit.api.cluster_in_memory import NOW, InMemory


def test_a_backup_is_made_listed_fetched_and_removed(cluster: InMemory) -> None:
    made = cluster.ask("POST", "/api/backups")
    assert cluster.ask("GET", "/api/backups")["backups"] == [made]
    path = cluster.context.backups.folder / made["name"]
    download = next(route for route in cluster.routes if route.path == "/api/backups/<name>" and route.method == "GET")
    answer = download.answer(Call(path={"name": made["name"]}, user="root"))
    assert answer.data == path.read_bytes()  # type: ignore[attr-defined]
    cluster.ask("DELETE", f"/api/backups/{made['name']}")
    assert cluster.ask("GET", "/api/backups")["backups"] == []


def test_an_unknown_one_is_not_found(cluster: InMemory) -> None:
    with pytest.raises(NotFound):
        cluster.ask("DELETE", "/api/backups/none.backup")


def test_the_plan_changes_only_where_it_was_said(cluster: InMemory) -> None:
    cluster.ask("POST", "/api/backup-plan", {"every": 3600})
    plan = cluster.ask("POST", "/api/backup-plan", {"keep": 14, "folder": "/mnt/usb"})
    assert plan == {"every": 3600.0, "keep": 14, "folder": "/mnt/usb", "rehearse": 604_800.0}
    assert cluster.ask("GET", "/api/backups")["plan"] == plan


@pytest.mark.parametrize(
    "wish", [{"every": 5}, {"every": -1}, {"keep": 0}, {"keep": 5000}, {"folder": "usb"}, {"x": 1}]
)
def test_a_plan_that_cannot_be_followed_is_refused(cluster: InMemory, wish: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        cluster.ask("POST", "/api/backup-plan", wish)


def test_nobody_but_an_administrator_gets_at_them(cluster: InMemory) -> None:
    cluster.write(cluster.state.users.put("eve", User(name="eve", password="x", roles=("viewer",), created_at=NOW)))
    about_backups = [route for route in cluster.routes if "/backup" in route.path]
    assert about_backups
    for route in about_backups:
        for user in ("eve", "nobody", ""):
            with pytest.raises(NotPermitted):
                route.answer(Call(path={"name": "x"}, user=user))
