"""What the agent knows, in a file."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from appliance import VERSION
from appliance.link.agent_end import LinkState
from appliance.link.messages import TurnedAway
from appliance.model.instance import InstanceStatus
from appliance.roles.status_file import StatusFile
from tests.lab.waiting import eventually
from tests.unit.delivery.test_node_files import IDENTITY


class Node:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.link = LinkState()
        self.statuses: tuple[InstanceStatus, ...] = ()
        self.file = StatusFile(path, IDENTITY, lambda: self.link, lambda: self.statuses)

    def shown(self) -> dict[str, Any]:
        self.file.cycle()
        shown: dict[str, Any] = json.loads(self.path.read_text())
        return shown


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "agent.json")


@pytest.mark.parametrize("manager", ["", "n-9"])
def test_it_names_the_node_and_its_manager(node: Node, manager: str) -> None:
    node.link = LinkState(manager=manager, since=1.0)
    shown = node.shown()
    assert (shown["node"], shown["name"], shown["cluster"], shown["version"]) == ("n-1", "one", "lab", VERSION)
    assert (shown["manager"], shown["connected"]) == (manager, bool(manager))


def test_instances_are_in_order_and_say_why_they_wait(node: Node) -> None:
    node.statuses = (
        InstanceStatus(instance="shop/web-2", node="n-1", state="pending", message="no image"),
        InstanceStatus(instance="shop/db-1", node="n-1", state="running", ready=True),
    )
    rows = node.shown()["instances"]
    assert [(row["instance"], row["ready"], row["message"]) for row in rows] == [
        ("shop/db-1", True, ""),
        ("shop/web-2", False, "no image"),
    ]
    assert rows[0]["node"] == "one", "people know nodes by name"


def test_it_says_which_managers_do_not_work_with_the_node_and_why(tmp_path: Path) -> None:
    said = TurnedAway(what="It is too new.", why="they are older", next="upgrade them")
    file = StatusFile(tmp_path / "a", IDENTITY, LinkState, tuple, turned_away=lambda: {"n-9": said})
    assert file.seen()["turned_away"] == [
        {"manager": "n-9", "what": "It is too new.", "why": "they are older", "next": "upgrade them"}
    ]


def test_everybody_may_read_it(node: Node) -> None:
    node.file.cycle()
    assert stat.S_IMODE(node.path.stat().st_mode) == 0o644


def test_it_follows_changes_and_goes_with_the_agent(node: Node) -> None:
    node.file.start()
    eventually(node.path.exists, 30)
    node.link = LinkState(manager="n-9", since=1.0)
    node.file.wake()
    eventually(lambda: json.loads(node.path.read_text())["connected"], 30)
    node.file.stop()
    assert not node.path.exists()
    node.file.stop()
