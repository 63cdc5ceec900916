"""Before an instance that serves is stopped, those who send to it hear that it goes."""

import time

import pytest
from msgspec.structs import replace

from appliance.model.wish import Desired
from tests.unit.agent.node import Node, alone, eventually

DRAIN = 1.0


@pytest.mark.parametrize("desired", ["stopped", "removed", "running"])
def test_an_instance_that_is_to_be_stopped_is_not_ready_for_a_while_before(node: Node, desired: Desired) -> None:
    """``running``: with another command."""
    wanted = replace(alone(), drain=DRAIN)
    with node.supervised() as book:
        book.put(wanted)
        before = eventually(node.running)
        eventually(lambda: node.reported["shop/web-1"].ready)
        changed = replace(alone(("sleep", "2000")), drain=DRAIN) if desired == "running" else wanted
        book.put(replace(changed, desired=desired))
        eventually(lambda: not node.reported["shop/web-1"].ready)
        told = time.monotonic()
        assert node.state() == "stopping" and node.running().id == before.id
        eventually(lambda: node.state() == desired and ((now := node.find()) is None or now != before))
        assert time.monotonic() - told > DRAIN / 2


def test_an_instance_that_is_wanted_again_meanwhile_is_not_touched(node: Node) -> None:
    wanted = replace(alone(), drain=60.0)
    with node.supervised() as book:
        book.put(wanted)
        before = eventually(node.running)
        eventually(lambda: node.reported["shop/web-1"].ready)
        book.put(replace(wanted, desired="stopped"))
        eventually(lambda: not node.reported["shop/web-1"].ready)
        book.put(wanted)
        eventually(lambda: node.reported["shop/web-1"].ready)
        assert node.running() == before


def test_an_instance_that_does_not_serve_is_not_waited_for(node: Node) -> None:
    wanted = replace(alone(("sh", "-c", "exit 3")), drain=60.0)
    with node.supervised() as book:
        book.put(wanted)
        eventually(lambda: node.state() == "backoff")
        book.put(replace(wanted, desired="removed"))
        eventually(lambda: node.state() == "removed")
