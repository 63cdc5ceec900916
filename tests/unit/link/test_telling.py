"""What a manager remembers of what it told nodes."""

import weakref

from appliance.link.messages import Picture
from appliance.link.telling import Telling
from tests.unit.link.cluster_in_memory import ClusterInMemory


class Known:
    """What nodes know; large in a large cluster."""


class Outbox:
    def __init__(self) -> None:
        self.nodes = {"n1"}

    def followers(self) -> set[str]:
        return self.nodes

    def send(self, node_id: str, message: Picture) -> None:
        """Nobody reads it."""


def test_what_a_node_knew_that_has_left_is_forgotten() -> None:
    outbox, now = Outbox(), [Known()]
    telling = Telling("known", ClusterInMemory(1).state, outbox, [], lambda _: lambda _: now[0], lambda *_: ())
    telling.cycle()
    before = weakref.ref(now.pop())
    now.append(Known())
    assert before() is not None
    outbox.nodes = set()
    telling.cycle()
    assert before() is None
