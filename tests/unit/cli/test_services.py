"""How commands put a service's revisions and differences into lines."""

from typing import Any

from appliance.cli.diff import described
from appliance.cli.history import state_of


def comparison(**more: Any) -> dict[str, Any]:
    change = {"path": "deploys.web.containers.main.image", "old": "a:1", "new": "a:2", "lines": []}
    nothing: dict[str, Any] = {"service": "shop", "against": 6, "index": 6, "instances": [], "jobs": [], "notes": []}
    return nothing | {"changes": [change]} | more


def test_a_difference_says_what_restarts_and_why() -> None:
    affected = {"action": "restart", "shown": "shop/web-0..2", "reasons": ["containers.main.image", "configs app.conf"]}
    assert list(described(comparison(instances=[affected], jobs=["shop/migrate"]))) == [
        "shop: revision 6 would become:",
        '  deploys.web.containers.main.image: "a:1" → "a:2"',
        "shop/web-0..2 restart: containers.main.image, configs app.conf",
        "shop/migrate runs",
    ]


def test_a_difference_that_restarts_nothing_says_so() -> None:
    assert list(described(comparison()))[-1] == "no instance restarts"


def test_a_text_is_shown_by_its_lines() -> None:
    change = {"path": "configs.a.text", "old": "x", "new": "y", "lines": ["-x", "+y"]}
    assert list(described(comparison(changes=[change])))[1:4] == ["  configs.a.text:", "    -x", "    +y"]


def test_no_difference() -> None:
    assert list(described(comparison(changes=[]))) == ["shop: no difference from revision 6"]


def test_the_state_of_a_revision() -> None:
    failed = {"state": "failed", "reason": "rank 1 did not become ready", "in_effect": False}
    assert state_of(failed) == "failed: rank 1 did not become ready"
    assert state_of({"state": "done", "reason": "", "in_effect": True}) == "done, in effect"
    assert state_of({"state": "", "reason": "", "in_effect": False}) == ""
